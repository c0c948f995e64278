"""What feeds tell of other policies when a world reacts to them: estimates from their propensities cover the truth."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from models.exploration import Exploration, explored
from models.off_policy import LoggedRows, policy_value
from models.rule import lists_of
from sim.catalogue import live_on, users_on
from sim.user import expected_long_view
from sim.world import WorldConfig

WORLD = WorldConfig(seed=5, users=400, videos=150, authors=40)
DAY = WORLD.first_day + timedelta(days=3)
LENGTH, SLOTS, REPETITIONS = 20, 4, 200


@pytest.fixture(scope="module")
def true() -> NDArray[np.float64]:
    """The probability of a long view of every user, slot and video (users, LENGTH, videos), best guess first.

    The guess that feeds are ordered by is the truth and as much noise.
    """
    live, users = live_on(WORLD, DAY), users_on(WORLD, DAY).user_id
    user, video = np.repeat(users, len(live)), np.tile(live, len(users))
    shape = (len(users), len(live))
    places = [expected_long_view(WORLD, DAY, user, video, position=slot + 1).reshape(shape) for slot in range(LENGTH)]
    noise = np.random.default_rng(1).normal(0, places[0].std(), shape)
    order = np.argsort(-(places[0] + noise), axis=1)
    return np.stack([np.take_along_axis(place, order, axis=1) for place in places], axis=1)


@pytest.mark.parametrize("policy", ["without exploration", "nothing but exploration"])
def test_an_estimate_from_explored_feeds_covers_the_world_s_truth(true: NDArray[np.float64], policy: str) -> None:
    """Repeated: 400 users are drawn with replacement, the slots of their feeds anew, and the world's reactions."""
    users, _, videos = true.shape
    slots = np.arange(LENGTH)
    served = true[:, slots, slots].mean(axis=1)
    of_policy = served if policy == "without exploration" else true[:, :, LENGTH:].mean(axis=(1, 2))
    lists = lists_of(np.tile(np.arange(videos), users), np.arange(users + 1) * videos)
    draw, covered = np.random.default_rng(2), 0
    for repetition in range(REPETITIONS):
        exploration = Exploration(SLOTS, "a1", DAY + timedelta(days=repetition))
        uniforms = exploration.uniforms(np.arange(users))
        rows, propensity, is_drawn, _ = explored(lists, np.ones(videos, bool), LENGTH, uniforms)
        chosen = draw.integers(users, size=users)
        video, chance, explores = (each.reshape(users, LENGTH)[chosen] for each in (rows, propensity, is_drawn))
        reward = draw.random(video.shape) < true[chosen[:, None], slots, video]
        evaluation = np.where(explores, 0, 1) if policy == "without exploration" else explores / (videos - LENGTH)
        log = LoggedRows(
            np.repeat(np.arange(users), LENGTH),
            reward.ravel().astype(np.float64),
            chance.ravel(),
            evaluation.ravel().astype(np.float64),
        )
        found = policy_value(log, repetition, replicates=300)
        covered += found.ips.low <= of_policy.mean() <= found.ips.high
    assert 0.90 <= covered / REPETITIONS <= 0.985, policy
    assert abs(served.mean() - true[:, :, LENGTH:].mean()) > 0.05, "both policies are worth the same: nothing is told"
