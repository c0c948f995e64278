"""Exploration draws by the probabilities that it stores, within its budget, for each user and day apart."""

from __future__ import annotations

from datetime import date
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2

from models.exploration import Exploration, explored
from models.rule import Lists

DRAWS = 100_000
LENGTH, LISTED, SLOTS = 6, 11, 2
HELD = 3
DAY = date(2026, 1, 1)


@cache
def uniforms() -> NDArray[np.float64]:
    return Exploration(SLOTS, "0123456789ab", DAY).uniforms(np.arange(DRAWS))


def many(candidates: int) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    """Rows, propensities, draws, (DRAWS, LENGTH), of so many users with one list, its first `candidates` personal."""
    rows = np.tile(np.arange(LISTED), DRAWS)
    is_held = np.tile(np.arange(LISTED) == HELD, DRAWS)
    lists = Lists(rows, np.arange(DRAWS + 1) * LISTED, np.zeros(len(rows), np.uint64), is_held)
    found = explored(lists, np.arange(LISTED) < candidates, LENGTH, uniforms())
    shown, propensity, is_drawn = (column.reshape(DRAWS, LENGTH) for column in found[:3])
    return shown, propensity, is_drawn


@pytest.mark.parametrize("candidates", [LISTED - 1, LENGTH], ids=["candidates", "popular videos"])
def test_frequencies_are_the_stored_propensities(candidates: int) -> None:
    shown, propensity, is_drawn = many(candidates)
    assert (is_drawn.sum(axis=1) == SLOTS).all()
    assert (np.sort(shown, axis=1)[:, 1:] != np.sort(shown, axis=1)[:, :-1]).all()
    pool = np.arange(LENGTH, candidates if candidates > LENGTH else LISTED)
    for slot in range(LENGTH):
        videos = [slot] if slot == HELD else [slot, *pool]
        stored = []
        for video in videos:
            told = np.unique(propensity[shown[:, slot] == video, slot])
            assert len(told) == 1, "the probability of a video in a slot depends on nothing that was drawn"
            stored.append(told[0])
        counts = np.bincount(shown[:, slot], minlength=LISTED)[videos]
        assert counts.sum() == DRAWS
        assert sum(stored) == pytest.approx(1)
        if len(videos) > 1:
            expected = DRAWS * np.array(stored)
            assert np.sum((counts - expected) ** 2 / expected) < chi2.ppf(0.999, len(videos) - 1)


def test_a_held_slot_is_never_drawn_and_pairs_of_slots_are_drawn_alike() -> None:
    _, _, is_drawn = many(LISTED)
    assert not is_drawn[:, HELD].any()
    opened = np.delete(is_drawn, HELD, axis=1)
    pairs = np.bincount(opened @ (2 ** np.arange(LENGTH - 1)))
    counts = pairs[pairs > 0]
    assert len(counts) == 10
    assert np.sum((counts - DRAWS / 10) ** 2 / (DRAWS / 10)) < chi2.ppf(0.999, 9)


def test_the_same_seed_draws_the_same_and_another_user_day_hour_or_recipe_something_else() -> None:
    users = np.array([1, 2, 3])
    first = Exploration(SLOTS, "0a", DAY).uniforms(users)
    assert (first == Exploration(SLOTS, "0a", DAY).uniforms(users)).all()
    assert (first[1:] == Exploration(SLOTS, "0a", DAY).uniforms(users[1:])).all(), "whoever else is in the batch"
    assert len(np.unique(first)) == first.size
    others = [Exploration(SLOTS, "0b", DAY), Exploration(SLOTS, "0a", date(2026, 1, 2))]
    others += [Exploration(SLOTS, "0a", DAY, hour) for hour in (1, 24)]
    for other in others:
        assert (first != other.uniforms(users)).all()


def test_the_budget_is_what_slots_and_videos_allow() -> None:
    rows, bounds = np.arange(5), np.array([0, 5])
    lists = Lists(rows, bounds, np.zeros(5, np.uint64), np.array([True, False, True, False, False]))
    everything = np.ones(5, bool)
    for slots, length, drawn in ((0, 3, 0), (3, 3, 1), (3, 5, 0), (3, 4, 1)):
        numbers = Exploration(slots, "0a", DAY).uniforms(np.array([7]))
        _, propensity, is_drawn, _ = explored(lists, everything, length, numbers)
        assert is_drawn.sum() == drawn
        assert ((propensity > 0) & (propensity <= 1)).all()
