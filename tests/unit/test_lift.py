"""Lift: what the tenths of a ranked list have of a label, whatever order equal predictions come in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng

from models.lift import PARTS, lift


def test_a_ranking_that_finds_every_positive_lifts_the_first_tenth_to_what_there_is() -> None:
    labels = np.zeros(100)
    labels[:20] = 1
    assert lift(labels, labels + np.arange(100, 0, -1) / 1000) == pytest.approx([5, 5] + [0] * 8)


def test_a_constant_prediction_lifts_nothing_and_no_label_has_no_lift() -> None:
    labels = (np.arange(50) < 5).astype(np.float64)
    assert lift(labels, np.full(50, 0.1)) == pytest.approx(np.ones(PARTS))
    assert lift(np.zeros(50), np.arange(50.0)).size == 0
    assert lift(np.ones(3), np.arange(3.0)).size == 0


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 20))
def test_the_order_of_rows_changes_nothing_and_tenths_average_to_one(seed: int, values: int, tenths: int) -> None:
    generator = default_rng(seed)
    predictions = generator.integers(0, values, PARTS * tenths).astype(np.float64)
    labels = generator.random(PARTS * tenths) + 0.01
    found, order = lift(labels, predictions), generator.permutation(PARTS * tenths)
    assert found == pytest.approx(lift(labels[order], predictions[order]))
    assert found.mean() == pytest.approx(1)
