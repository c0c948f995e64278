"""Weights drawn for each user: within their bounds, on average the recipe's, and nobody's hangs on anyone else."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.varied import UserWeights

WEIGHTS = UserWeights(
    {"like": 0.6, "not_interested": -8.0, "share": 2.0}, {"like": 0.2, "not_interested": 0.5}, "0a", date(2026, 1, 5)
)
MANY = np.arange(4_000)


def test_draws_are_uniform_between_the_bounds_and_keep_their_sign() -> None:
    found = WEIGHTS.of(MANY)
    assert found["share"] == 2.0
    for head, share in WEIGHTS.varied.items():
        far = (np.asarray(found[head]) / WEIGHTS.weights[head] - 1) / share
        assert (np.abs(far) <= 1).all()
        # Of so many draws the mean of a uniform one strays by .009, its variance of 1/3 by .005.
        assert far.mean() == pytest.approx(0, abs=0.04)
        assert far.var() == pytest.approx(1 / 3, abs=0.02)


def test_heads_and_nights_are_drawn_independently() -> None:
    tonight, tomorrow = WEIGHTS.of(MANY), replace(WEIGHTS, ds=date(2026, 1, 6)).of(MANY)
    other = replace(WEIGHTS, recipe_hash="0b").of(MANY)
    like = np.asarray(tonight["like"])
    for stranger in (tonight["not_interested"], tomorrow["like"], other["like"]):
        assert abs(np.corrcoef(like, np.asarray(stranger))[0, 1]) < 0.06


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=30))
def test_a_user_s_weights_hang_on_nobody_else(users: list[int]) -> None:
    together = np.asarray(WEIGHTS.of(np.array(users))["like"])
    alone = [float(np.asarray(WEIGHTS.of(np.array([user]))["like"])[0]) for user in users]
    assert together.tolist() == alone


def test_a_recipe_that_varies_nothing_has_one_weight_for_all() -> None:
    assert replace(WEIGHTS, varied={}).of(MANY) == WEIGHTS.weights
