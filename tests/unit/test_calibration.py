"""Calibration mends what is off, leaves alone what is right, and never turns an order round."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import calibration
from models.calibration import apply, choose, fit_isotonic, fit_platt, fit_scale
from models.metrics import calibration_error, log_loss

ROWS = 20_000


def labelled(distort: float, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and predictions whose log odds are the true ones times `distort` plus `shift`."""
    generator = np.random.default_rng(1)
    odds = generator.normal(size=ROWS) - 1
    labels = (generator.random(ROWS) < 1 / (1 + np.exp(-odds))).astype(float)
    return labels, 1 / (1 + np.exp(-(distort * odds + shift)))


def test_predictions_that_are_right_are_left_alone() -> None:
    chosen, losses = choose(*labelled(1.0, 0.0), seed=1)
    assert chosen.method == "none" or losses[chosen.method] > losses["none"] - 1e-4


def test_overconfident_predictions_are_mended() -> None:
    labels, raw = labelled(2.0, 0.5)
    chosen, losses = choose(labels, raw, seed=1)
    assert chosen.method == "platt"
    assert losses["platt"] < losses["none"] - 0.01
    assert calibration_error(labels, apply(chosen, raw)) < 0.01
    assert chosen.y == pytest.approx((0.5, -0.25), abs=0.05)


def test_what_no_curve_of_two_numbers_mends_is_mended_by_steps() -> None:
    labels, true = labelled(1.0, 0.0)
    raw = np.where(true < 0.3, true / 10, 0.5 + true / 2)
    chosen, _ = choose(labels, raw, seed=1)
    assert chosen.method == "isotonic"
    assert calibration_error(labels, apply(chosen, raw)) < 0.01


def test_too_few_of_a_label_leave_predictions_alone() -> None:
    labels = np.zeros(1_000)
    labels[:3] = 1
    assert choose(labels, np.random.default_rng(1).random(1_000), seed=1)[0].method == "none"


def test_an_order_that_is_upside_down_is_not_turned_round_by_platt() -> None:
    labels, raw = labelled(1.0, 0.0)
    assert fit_platt(labels, 1 - raw).method == "none"


def test_a_regression_is_scaled_to_its_total() -> None:
    labels, raw = np.array([2.0, 4.0]), np.array([1.0, 2.0])
    assert apply(fit_scale(labels, raw), raw).sum() == pytest.approx(6.0)
    assert fit_scale(np.zeros(2), raw).method == "none"


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.1, 0.2, 0.2001, 0.6, 0.9])), min_size=2, max_size=80))
def test_steps_keep_the_order_and_stay_off_certainty(pairs: list[tuple[int, float]]) -> None:
    labels, raw = np.array([p[0] for p in pairs], float), np.array([p[1] for p in pairs])
    grid = np.linspace(0, 1, 50)
    values = apply(fit_isotonic(labels, raw), grid)
    assert (np.diff(values) >= 0).all()
    assert values.min() > 0
    assert values.max() < 1
    with mock.patch.object(calibration, "TILT", 0.0):
        flat = apply(fit_isotonic(labels, raw), raw)
    assert log_loss(labels, flat) <= log_loss(labels, np.full(len(labels), 0.5)) + 1e-9
    observed, predicted = labels.mean(), apply(fit_isotonic(labels, raw), raw).mean()
    assert abs(predicted - observed) <= 0.5 / (len(labels) + 1) + 1e-12


def test_rows_that_a_step_pools_keep_their_order() -> None:
    labels, raw = labelled(1.0, 0.0)
    fitted = fit_isotonic(labels[:2_000], raw[:2_000])
    values = apply(fitted, np.sort(raw[:2_000]))
    assert (np.diff(values) > 0).all()
    assert log_loss(labels[2_000:], apply(fitted, raw[2_000:])) < log_loss(labels[2_000:], raw[2_000:]) + 0.01
