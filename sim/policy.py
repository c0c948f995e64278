"""What the simulated app shows: sessions, and in their slots a noisy softmax over the live pool, or a random video.

The logging policy knows tastes imperfectly, the better the longer a user is registered, mistakes luck for quality,
and favours fresh videos and followed authors. Within a day it shows a user no video twice, exploration aside.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from sim.catalogue import Users, authors_of, least_columns, live_on, users_on, videos_on
from sim.follows import follows_on
from sim.world import Bools, Floats, Ints, WorldConfig, generator

MOST_SESSIONS, LONGEST_SESSION = 5, 90
SESSIONS_PER_USER_DAY = 1.28
"""Mean over users of activity × (1 + 2 activity): sessions, of which the configured impressions set the length."""
SURFACE_SHARES = (0.15, 0.75, 0.10)
KNOWLEDGE, LEARNING_DAYS = 0.75, 5.0
"""Correlation of the policy's guess of a taste with the taste, and the days in which it is learned."""
TASTE, POPULARITY, FRESHNESS, FOLLOWED = 0.9, 1.0, 1.0, 1.5
"""Weights in the policy's log odds."""
FRESH_DAYS = 3.0
BLOCK = 128
"""Users scored at a time: such a block of the pool's scores stays in the processor's cache."""


@dataclass(frozen=True)
class Slots:
    """One entry per impression of a day, in order of user, session and position.

    `session` counts from 0 and `position` from 1. `propensity` is 1 / live videos in a random slot, NaN elsewhere.
    """

    user_id: Ints
    session: Ints
    position: Ints
    surface: Ints
    video_id: Ints
    is_random: Bools
    propensity: Floats


def slots_on(config: WorldConfig, day: date) -> Slots:
    """Returns every slot that the logging policy filled on `day`, and with which video."""
    rng, users, live = generator(config, "slots", day), users_on(config, day), live_on(config, day)
    active = np.flatnonzero(rng.random(len(users.user_id)) < users.activity)
    sessions = np.minimum(1 + rng.poisson(2 * users.activity[active]), MOST_SESSIONS)
    user = np.repeat(active, sessions)
    mean_length = np.maximum(users.patience[user] * config.impressions_per_user_day / SESSIONS_PER_USER_DAY, 1.0)
    length = np.minimum(rng.geometric(1.0 / mean_length), LONGEST_SESSION)
    surface = rng.choice(len(SURFACE_SHARES), len(user), p=SURFACE_SHARES)

    of_session = np.repeat(np.arange(len(user)), length)
    slot = _count_within(np.bincount(np.searchsorted(active, user), length, len(active)).astype(np.int64))
    within = slot < len(live)
    of_session, slot = of_session[within], slot[within]
    slot_user = user[of_session]
    shown = _picks(config, day, rng, active, np.bincount(slot_user, minlength=len(users.user_id))[active])
    is_random = rng.random(len(shown)) < config.exploration_share
    pool = max(len(live), 1)
    drawn = live[rng.integers(pool, size=len(shown))]
    return Slots(
        user_id=slot_user,
        session=_count_within(sessions)[of_session],
        position=_count_within(length)[within] + 1,
        surface=surface[of_session],
        video_id=np.where(is_random, drawn, shown),
        is_random=is_random,
        propensity=np.where(is_random, 1.0 / pool, np.nan),
    )


def _count_within(lengths: Ints) -> Ints:
    """Returns 0, 1, … within each of consecutive groups of the given lengths."""
    starts = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) - np.repeat(starts, lengths)


def _picks(config: WorldConfig, day: date, rng: np.random.Generator, active: Ints, wanted: Ints) -> Ints:
    """Returns `wanted` live videos for each of the `active` users, drawn without replacement by a softmax, in order.

    The videos whose exponential variates over their softmax weights are least are such a draw (Gumbel top-k). Sums run
    dimension by dimension, not as a matrix product, whose last bits may depend on the number of threads.
    """
    if not wanted.any():
        return np.zeros(0, np.int64)
    users, videos, live = users_on(config, day), videos_on(config, day), live_on(config, day)
    author = videos.author_id[live]
    slowness = np.exp(-_log_odds_of_videos(config, day, live)).astype(np.float32)
    directions = np.ascontiguousarray(videos.direction[live].T, dtype=np.float32)
    believed = (-TASTE * _believed_taste(users, day)).astype(np.float32)
    follow_slowness = _follow_slowness(config, day)
    picked: list[Ints] = []
    for start in range(0, len(active), BLOCK):
        block, count = active[start : start + BLOCK], wanted[start : start + BLOCK]
        score = believed[block, :1] * directions[0]
        for dimension in range(1, len(directions)):
            score += believed[block, dimension : dimension + 1] * directions[dimension]
        np.exp(score, out=score)
        score *= slowness
        score *= np.take(follow_slowness[block], author, axis=1)
        score *= rng.standard_exponential(score.shape, dtype=np.float32)
        picked.append(live[least_columns(score, int(count.max()))[np.arange(count.max()) < count[:, None]]])
    return np.concatenate(picked)


def _log_odds_of_videos(config: WorldConfig, day: date, live: Ints) -> Floats:
    videos = videos_on(config, day)
    quality = (
        0.6 * videos.quality[live] + 0.4 * authors_of(config).quality[videos.author_id[live]] + 0.7 * videos.luck[live]
    )
    age = day.toordinal() - videos.uploaded[live]
    return POPULARITY * quality + FRESHNESS * np.exp(-age / FRESH_DAYS)


def _believed_taste(users: Users, day: date) -> Floats:
    known = KNOWLEDGE * -np.expm1(-(day.toordinal() - users.registered + 1) / LEARNING_DAYS)[:, None]
    return known * users.taste + np.sqrt(1 - known**2) * users.guess


def _follow_slowness(config: WorldConfig, day: date) -> NDArray[np.float32]:
    graph = follows_on(config, day)
    slowness = np.ones((len(users_on(config, day).user_id), config.authors), np.float32)
    slowness[graph.user_id, graph.author_id] = np.exp(-FOLLOWED)
    return slowness
