"""Who follows whom in the simulated world, and since when: drawn day by day from taste and author quality alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache

import numpy as np

from sim.catalogue import authors_of, users_on
from sim.world import Ints, WorldConfig, days_to, generator

INITIAL_FOLLOWS, WELCOME_FOLLOWS = 10.0, 2.0
"""Mean number of authors that a user follows on the world's first day, and upon registering later."""
DAILY_FOLLOWS = 0.4
"""Probability that a fully active user starts to follow one more author on a day."""
AUTHORS_MET = 16
"""Authors, met by renown, among whom one is chosen by taste to be followed."""


@dataclass(frozen=True)
class Follows:
    """The follow graph at the end of a day, in order of user and author; `since` is the ordinal of an edge's day."""

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


@cache
def _begun_on(config: WorldConfig, day: date) -> tuple[Ints, Ints]:
    """Returns users and the authors they begin to follow on `day`; a pair may have begun before."""
    users, rng = users_on(config, day), generator(config, "follows", day)
    count = (rng.random(len(users.user_id)) < DAILY_FOLLOWS * users.activity).astype(np.int64)
    is_first = day == config.first_day
    mean = INITIAL_FOLLOWS if is_first else WELCOME_FOLLOWS
    is_new = is_first | (users.registered == day.toordinal())
    count = np.where(is_new, rng.geometric(1 / (1 + mean), len(count)) - 1, count)
    user = np.repeat(users.user_id, count)
    authors = authors_of(config)
    renown = authors.upload_share * np.exp(0.8 * authors.quality)
    met = rng.choice(config.authors, (len(user), AUTHORS_MET), p=renown / renown.sum())
    liking = 1.2 * np.einsum("nd,nad->na", users.taste[user], authors.direction[met]) + rng.gumbel(size=met.shape)
    return user, met[np.arange(len(user)), liking.argmax(axis=1)].astype(np.int64)
