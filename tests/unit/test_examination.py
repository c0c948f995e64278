"""Examination by place is learnt from random slots: the world's own curve is found again, whoever stays for long."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from core.errors import UsageError
from models.examination import LEAST, examination
from sim import user as truth
from sim.day import impressions_on
from sim.world import WorldConfig


def test_the_world_s_curve_is_found_in_its_random_slots() -> None:
    world = WorldConfig(seed=5, users=1_000, videos=400, authors=60, exploration_share=0.5)
    days = [impressions_on(world, world.first_day + timedelta(days=i)) for i in range(4)]
    random = np.concatenate([day.slots.is_random for day in days])
    user, position = (
        np.concatenate([getattr(day.slots, name) for day in days])[random] for name in ("user_id", "position")
    )
    outcome = np.concatenate([day.reactions.is_long_view for day in days])[random]
    found = examination(user, position, outcome, seed=1)
    ends = [*found.first[1:], position.max() + 1]
    true = [
        truth.examination(position[(position >= begin) & (position < end)]).mean()
        for begin, end in zip(found.first, ends, strict=True)
    ]
    inside = [one.low <= value <= one.high for one, value in zip(found.estimates, true, strict=True)]
    assert len(inside) > 20
    assert np.mean(inside) > 0.9
    assert found.estimates[0].value == 1.0
    assert found.estimates[-1].value < 0.6


def test_those_who_stay_for_long_do_not_pass_for_a_place_that_is_looked_at() -> None:
    """Half the users like everything and stay for two; nobody looks less at the second place."""
    draw = np.random.default_rng(1)
    fond, rows = np.arange(2_000) % 2 == 0, 20
    user = np.concatenate([np.repeat(np.arange(2_000), rows), np.repeat(np.flatnonzero(fond), rows)])
    position = np.repeat([1, 2], [2_000 * rows, 1_000 * rows])
    outcome = draw.random(len(user)) < np.where(fond[user], 0.6, 0.1)
    naive = outcome[position == 2].mean() / outcome[position == 1].mean()
    assert naive > 1.5
    [_, second] = examination(user, position, outcome, seed=1).estimates
    assert second.low < 1 < second.high


def test_places_with_few_outcomes_stand_together() -> None:
    position = np.repeat([1, 2, 3, 4, 5], [LEAST, 20, 20, LEAST, 5])
    found = examination(np.zeros(len(position), np.int64), position, np.ones(len(position), np.bool_), seed=1)
    assert found.first == (1, 2, 4)


def test_without_random_slots_it_says_what_is_missing() -> None:
    with pytest.raises(UsageError, match="has 0 outcomes in random slots"):
        examination(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.bool_), seed=1)
