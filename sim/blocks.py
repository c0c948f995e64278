"""Which authors the simulated world's users have blocked: drawn day by day from taste alone, of those not followed.

A block changes neither what the old app shows nor how a user reacts: only feeds that are given to the world heed it.
"""

from __future__ import annotations

from datetime import date
from functools import cache

import numpy as np

from sim.catalogue import authors_of, users_on
from sim.follows import AUTHORS_MET, NEVER, follows_on
from sim.world import Ints, WorldConfig, days_to, generator

INITIAL_BLOCKS = 0.5
"""Mean number of authors that a user has blocked on the world's first day."""
DAILY_BLOCKS = 0.02
"""Probability that a fully active user blocks one more author on a day."""


def blocks_on(config: WorldConfig, day: date) -> tuple[Ints, Ints]:
    """Returns users and the authors they have blocked at the end of `day`, in order, each pair once.

    Who is followed by then is not blocked. Raises UsageError for a day before the world's first.
    """
    parts = [_begun_on(config, each) for each in days_to(config, day)]
    keys = np.unique(np.concatenate([user * config.authors + author for user, author in parts]))
    user, author = keys // config.authors, keys % config.authors
    stranger = follows_on(config, day).first_day(user, author) == NEVER
    return user[stranger], author[stranger]


@cache
def _begun_on(config: WorldConfig, day: date) -> tuple[Ints, Ints]:
    """Returns users and the authors they block on `day`: of some they met, the one least to their taste."""
    users, rng = users_on(config, day), generator(config, "blocks", day)
    count = (rng.random(len(users.user_id)) < DAILY_BLOCKS * users.activity).astype(np.int64)
    if day == config.first_day:
        count = rng.geometric(1 / (1 + INITIAL_BLOCKS), len(count)) - 1
    user = np.repeat(users.user_id, count)
    authors = authors_of(config)
    met = rng.choice(config.authors, (len(user), AUTHORS_MET), p=authors.upload_share / authors.upload_share.sum())
    liking = np.einsum("nd,nad->na", users.taste[user], authors.direction[met])
    return user, met[np.arange(len(user)), liking.argmin(axis=1)].astype(np.int64)
