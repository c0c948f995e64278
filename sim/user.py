"""How a simulated user reacts to a video: the truth that a recommender tries to learn.

A user examines the video at place p of a session with probability 1 / (1 + a (p - 1))^b, and does nothing otherwise.
One who examines it watches for a lognormal time whose median grows with interest and, more slowly, with duration:

    log(watch) = log(12 s) + 0.3 log(duration / 20 s) + interest + standard normal noise

so that a long view (watched to the end, or 18 s of a longer video) has a closed-form probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from scipy.special import ndtr

from core.errors import UsageError
from sim.catalogue import authors_of, users_on, videos_on
from sim.follows import follows_on
from sim.world import Bools, Floats, Ints, WorldConfig

EXAMINATION_SLOPE, EXAMINATION_POWER = 0.15, 0.5
MAIN_SURFACE = 1
SURFACE_INTEREST = (-0.25, 0.0, 0.2)
"""What each surface adds to interest."""
BASE, TASTE, QUALITY, AUTHOR_QUALITY, FOLLOWED = -0.8, 1.0, 0.5, 0.35, 0.35
"""Interest in no video in particular, and what a unit of each cause adds to it."""
TYPICAL_WATCH_MS, TYPICAL_DURATION_MS, DURATION_POWER = 12_000, 20_000, 0.3
LONG_VIEW_MS, CLICK_MS = 18_000, 7_000
MOST_LOOPS = 6
SKIP_MS, LONGEST_SKIP_MS = 900, 2_500
LIKE, COMMENT, SHARE, PROFILE_VISIT, NOT_INTERESTED = (
    (0.014, 0.9), (0.0030, 0.7), (0.0025, 0.8), (0.008, 0.7), (0.0050, -0.9)
)  # fmt: skip
"""Rate at interest 0 for one who examines the video, and how the rate's logarithm grows with interest."""
HIGHEST_RATE = 0.5


@dataclass(frozen=True)
class Reactions:
    """What came of each impression. Follows are left out: they follow from the follow graph."""

    watch_ms: Ints
    is_click: Bools
    is_long_view: Bools
    is_like: Bools
    is_comment: Bools
    is_share: Bools
    is_profile_visit: Bools
    is_not_interested: Bools


def examination(position: Ints | int) -> Floats:
    """Returns the probability, in (0, 1], that a video at each 1-based `position` of a session is looked at."""
    return np.asarray(1.0 / (1.0 + EXAMINATION_SLOPE * (np.asarray(position) - 1)) ** EXAMINATION_POWER, np.float64)


def interest(
    config: WorldConfig, day: date, user_ids: Ints, video_ids: Ints, surface: Ints | int = MAIN_SURFACE
) -> Floats:
    """Returns how much each user cares for the video beside it, about standard normal over random pairs.

    Linear in affinity, video quality, author quality, whether the author was followed before `day`, the user's
    generosity and the surface. Raises UsageError for an id that did not exist on `day`.
    """
    users, videos = users_on(config, day), videos_on(config, day)
    _existing("user", user_ids, len(users.user_id), day)
    _existing("video", video_ids, len(videos.video_id), day)
    author = videos.author_id[video_ids]
    affinity = np.einsum("nd,nd->n", users.taste[user_ids], videos.direction[video_ids])
    followed = follows_on(config, day).first_day(np.asarray(user_ids), author) < day.toordinal()
    cares: Floats = (
        BASE
        + TASTE * affinity
        + QUALITY * videos.quality[video_ids]
        + AUTHOR_QUALITY * authors_of(config).quality[author]
        + FOLLOWED * followed
        + users.generosity[user_ids]
        + np.asarray(SURFACE_INTEREST)[surface]
    )
    return cares


def expected_long_view(
    config: WorldConfig,
    day: date,
    user_ids: Ints,
    video_ids: Ints,
    *,
    position: Ints | int = 1,
    surface: Ints | int = MAIN_SURFACE,
) -> Floats:
    """Returns the true probability of a long view for each pair of `user_ids` and `video_ids` (same length).

    Raises UsageError for an id that did not exist on `day`.
    """
    cares = interest(config, day, user_ids, video_ids, surface)
    duration = videos_on(config, day).duration_ms[video_ids]
    needed = np.log(np.minimum(duration, LONG_VIEW_MS))
    examined_long_view: Floats = ndtr(_median_log_watch(cares, duration) - needed)
    return examination(position) * examined_long_view


def react(
    rng: np.random.Generator, cares: Floats, examined: Floats, duration_ms: Ints, expressiveness: Floats
) -> Reactions:
    """Returns a drawn reaction per row: interest, probability of examination, duration in ms, user's expressiveness."""
    rows = len(cares)
    looks = rng.random(rows) < examined
    watched = np.exp(_median_log_watch(cares, duration_ms) + rng.standard_normal(rows))
    skipped = np.minimum(rng.exponential(SKIP_MS, rows), LONGEST_SKIP_MS)
    watch = np.where(looks, np.minimum(watched, MOST_LOOPS * duration_ms), skipped).astype(np.int64)

    def happens(rate: float, slope: float) -> Bools:
        chance = np.minimum(rate * expressiveness * np.exp(slope * cares), HIGHEST_RATE)
        return looks & (rng.random(rows) < chance)

    return Reactions(
        watch_ms=watch,
        is_click=np.where(duration_ms <= CLICK_MS, watch >= duration_ms, watch > CLICK_MS),
        is_long_view=watch >= np.minimum(duration_ms, LONG_VIEW_MS),
        is_like=happens(*LIKE),
        is_comment=happens(*COMMENT),
        is_share=happens(*SHARE),
        is_profile_visit=happens(*PROFILE_VISIT),
        is_not_interested=happens(*NOT_INTERESTED),
    )


def _median_log_watch(cares: Floats, duration_ms: Ints) -> Floats:
    median: Floats = np.log(TYPICAL_WATCH_MS) + DURATION_POWER * np.log(duration_ms / TYPICAL_DURATION_MS) + cares
    return median


def _existing(kind: str, ids: Ints, known: int, day: date) -> None:
    wrong = [int(i) for i in np.unique(ids) if not 0 <= i < known]
    if wrong:
        raise UsageError(f"no such {kind} on {day}: {', '.join(map(str, wrong[:5]))}", choices=[f"0 to {known - 1}"])
