"""Who follows whom in the simulated world, and since when: drawn day by day from taste and author quality alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np

from sim.world import Ints, WorldConfig, authors_of, days_to, generator, users_on

INITIAL_FOLLOWS, WELCOME_FOLLOWS = 10.0, 2.0
"""Mean number of authors that a user follows on the world's first day, and upon registering later."""
DAILY_FOLLOWS = 0.4
"""Probability that a fully active user starts to follow one more author on a day."""


@dataclass(frozen=True)
class Follows:
    """The follow graph at the end of a day, in order of user and author; `since` is the ordinal of an edge's first day."""

    user_id: Ints
    author_id: Ints
    since: Ints
    authors: int

    def first_day(self, user_id: Ints, author_id: Ints) -> Ints:
        """Returns for each pair the ordinal of the day on which the follow began, a day in the far future for none."""
        keys, wanted = self.user_id * self.authors + self.author_id, user_id * self.authors + author_id
        if not len(keys):
            return np.full(len(wanted), NEVER)
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[at] == wanted, self.since[at], NEVER)


NEVER = date.max.toordinal()


@lru_cache(maxsize=8)
def follows_on(config: WorldConfig, day: date) -> Follows:
    """Returns the follow graph at the end of `day`; raises UsageError for a day before the world's first."""
    parts = [_begun_on(config, each) for each in days_to(config, day)]
    keys = np.concatenate([user * config.authors + author for user, author in parts])
    # What is there on the first day began before it, so that the first day's log has no more follows than others.
    begun = [each.toordinal() - (each == config.first_day) for each in days_to(config, day)]
    since = np.repeat(begun, [len(user) for user, _ in parts])
    keys, first = np.unique(keys, return_index=True)
    return Follows(keys // config.authors, keys % config.authors, since[first], config.authors)


@lru_cache(maxsize=None)
def _begun_on(config: WorldConfig, day: date) -> tuple[Ints, Ints]:
    """Returns users and the authors they begin to follow on `day`; a pair may have begun before."""
    users, rng = users_on(config, day), generator(config, "follows", day)
    count = (rng.random(len(users.user_id)) < DAILY_FOLLOWS * users.activity).astype(np.int64)
    is_first = day == config.first_day
    mean = INITIAL_FOLLOWS if is_first else WELCOME_FOLLOWS
    is_new = is_first | (users.registered == day.toordinal())
    count = np.where(is_new, rng.geometric(1 / (1 + mean), len(count)) - 1, count)
    count = np.minimum(count, config.authors)
    picking = np.flatnonzero(count)
    authors = authors_of(config)
    liking = 1.2 * users.taste[picking] @ authors.direction.T + 0.8 * authors.quality + np.log(authors.upload_share)
    ranked = np.argsort(-(liking + rng.gumbel(size=liking.shape)), axis=1)
    chosen = np.arange(config.authors) < count[picking][:, None]
    return np.repeat(users.user_id[picking], count[picking]), ranked[chosen].astype(np.int64)
