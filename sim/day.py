"""One day of the simulated world as it happened: every impression, in order of user, session and position."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np

from sim.catalogue import users_on, videos_on
from sim.follows import follows_on
from sim.loop import Feeds, with_feeds
from sim.policy import MOST_SESSIONS, Slots, slots_on
from sim.user import Reactions, examination, interest, react
from sim.world import Bools, Ints, WorldConfig, generator

DAY_MS = 86_400_000
PAUSE_MS = 1_500
"""Mean time between the end of one video and the start of the next."""
BREAK_MS = 10 * 60_000
"""Least time between two sessions of a user."""
HOURLY_ACTIVITY = (6, 3, 2, 1, 1, 2, 4, 7, 9, 9, 9, 11, 15, 13, 10, 10, 11, 13, 16, 19, 22, 24, 19, 12)
"""Relative number of sessions that begin in each hour, UTC."""


@dataclass(frozen=True)
class Impressions:
    """What was shown on a day, when (milliseconds of the day, UTC), and what came of it."""

    slots: Slots
    shown_ms: Ints
    reactions: Reactions
    is_follow: Bools


@lru_cache(maxsize=5)
def impressions_on(config: WorldConfig, day: date, feeds: Feeds | None = None) -> Impressions:
    """Returns the impressions of `day`, on which the app had `feeds`; raises UsageError for a day before the first.

    A function of its arguments alone. The last few days are kept, as late rows of a day are needed for three more.
    """
    slots, rng = slots_on(config, day), generator(config, "reactions", day)
    if feeds:
        slots = with_feeds(config, day, slots, feeds)
    users, videos = users_on(config, day), videos_on(config, day)
    reactions = react(
        rng,
        interest(config, day, slots.user_id, slots.video_id, slots.surface),
        examination(slots.position),
        videos.duration_ms[slots.video_id],
        users.expressiveness[slots.user_id],
    )
    shown_ms = _times(generator(config, "times", day), slots, reactions.watch_ms)
    return Impressions(slots, shown_ms, reactions, _follows(config, day, slots, reactions))


def _follows(config: WorldConfig, day: date, slots: Slots, reactions: Reactions) -> Bools:
    """A follow that began today happened on today's first long view of the author, if the user had one."""
    author = videos_on(config, day).author_id[slots.video_id]
    begins = follows_on(config, day).first_day(slots.user_id, author) == day.toordinal()
    may = np.flatnonzero(begins & reactions.is_long_view)
    _, first = np.unique(slots.user_id[may] * config.authors + author[may], return_index=True)
    is_follow = np.zeros(len(author), bool)
    is_follow[may[first]] = True
    return is_follow


def _times(rng: np.random.Generator, slots: Slots, watch_ms: Ints) -> Ints:
    """Returns when each slot came on screen: sessions begin by the hours' activity and never overlap."""
    spent = watch_ms + rng.exponential(PAUSE_MS, len(watch_ms)).astype(np.int64) + 200
    ended = np.cumsum(spent)
    _, row, lasting = np.unique(slots.user_id, return_inverse=True, return_counts=True)
    session = row * MOST_SESSIONS + slots.session
    lengths = np.bincount(session, spent, len(lasting) * MOST_SESSIONS).astype(np.int64).reshape(-1, MOST_SESSIONS)
    share = np.asarray(HOURLY_ACTIVITY) / sum(HOURLY_ACTIVITY)
    hour = rng.choice(24, lengths.shape, p=share)
    begins = ((hour + rng.random(lengths.shape)) * DAY_MS / 24).astype(np.int64)
    begins = _apart(np.sort(np.where(lengths > 0, begins, DAY_MS), axis=1), lengths)
    first = np.flatnonzero(slots.position == 1)
    offset = (ended - spent) - np.repeat((ended - spent)[first], np.diff(np.append(first, len(spent))))
    shown_ms: Ints = begins.reshape(-1)[session] + offset
    return shown_ms


def _apart(begins: Ints, lengths: Ints) -> Ints:
    """Returns `begins` (users × sessions, ascending), moved so that no session meets the next one or midnight.

    Sessions that a user did not have are of length 0 and stand last.
    """
    begins, limit = begins.copy(), np.full(len(begins), DAY_MS)
    for session in reversed(range(begins.shape[1])):
        begins[:, session] = np.minimum(begins[:, session], limit - lengths[:, session])
        limit = np.where(lengths[:, session] > 0, begins[:, session] - BREAK_MS, limit)
    earliest = np.zeros(len(begins), np.int64)
    for session in range(begins.shape[1]):
        begins[:, session] = np.maximum(begins[:, session], earliest)
        earliest = begins[:, session] + lengths[:, session] + BREAK_MS
    return begins
