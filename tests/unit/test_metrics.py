"""Metrics of known systems: chance is a half, the oracle is one, and intervals hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import ContractError
from models.bootstrap import estimates, interval, resampled_sums
from models.estimate import Estimate
from models.metrics import ListSums, calibration_error, calibration_ratio, list_sums, prediction_metrics, reliability

ROWS = 20_000


def systems(seed: int = 1) -> dict[str, ListSums]:
    generator = np.random.default_rng(seed)
    users, videos = generator.integers(0, 2_000, ROWS), generator.integers(0, 500, ROWS)
    quality = generator.normal(size=ROWS)
    labels = (generator.random(ROWS) < 1 / (1 + np.exp(-quality))).astype(float)
    scores = {
        "good": quality,
        "noisy": quality + generator.normal(size=ROWS),
        "random": generator.random(ROWS),
        "oracle": labels,
        "constant": np.zeros(ROWS),
    }
    found = {name: list_sums(users, videos, labels, score) for name, score in scores.items()}
    return found | {"placebo": list_sums(users, videos, generator.permutation(labels), quality)}


def test_chance_is_a_half_and_the_oracle_is_one() -> None:
    found = estimates(systems(), [], seed=1, replicates=200)
    assert found["oracle", "gauc"].value == 1.0
    assert found["constant", "gauc"].value == 0.5
    for system in ("random", "placebo"):
        figure = found[system, "gauc"]
        assert figure.low is not None
        assert figure.high is not None
        assert figure.low <= 0.5 <= figure.high
    assert found["oracle", "ndcg@5"].value == max(f.value for (_, metric), f in found.items() if metric == "ndcg@5")


def test_intervals_of_chance_hold_a_half_as_often_as_they_say() -> None:
    generator = np.random.default_rng(3)
    users = np.repeat(np.arange(400), 8)
    videos = np.tile(np.arange(8), 400)
    held = 0
    for seed in range(200):
        labels = (generator.random(len(users)) < 0.3).astype(float)
        sums = list_sums(users, videos, labels, generator.random(len(users)))
        figure = estimates({"random": sums}, [], seed, replicates=300)["random", "gauc"]
        held += figure.low <= 0.5 <= figure.high
    # Of 200 intervals at 95 %, all but two draws in a thousand hold between these.
    assert 180 <= held <= 198


def test_a_score_that_is_not_a_number_is_refused() -> None:
    users, labels = np.arange(3), np.array([0.0, 1.0, 0.0])
    with pytest.raises(ContractError, match="1 of 3 scores are not numbers"):
        list_sums(users, users, labels, np.array([0.1, np.nan, 0.3]))


def test_the_difference_of_two_systems_is_surer_than_either() -> None:
    found = estimates(systems(), [("good", "noisy")], seed=1, replicates=300)
    difference = found["good_minus_noisy", "primary"]
    assert difference.low is not None
    assert difference.high is not None
    assert difference.low > 0
    alone = found["good", "primary"]
    assert difference.value == pytest.approx(alone.value - found["noisy", "primary"].value, abs=1e-12)


def test_bootstrap_intervals_are_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(1).normal(size=4_000)
    sums = resampled_sums(np.column_stack([values, np.ones_like(values)]), seed=2, replicates=2_000)
    low, high = interval(sums[:, 0] / sums[:, 1])
    assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(len(values)), rel=0.1)


def test_the_same_seed_draws_the_same_users() -> None:
    columns = np.random.default_rng(1).random((500, 3))
    assert np.array_equal(resampled_sums(columns, seed=7), resampled_sums(columns, seed=7))
    assert not np.array_equal(resampled_sums(columns, seed=7), resampled_sums(columns, seed=8))


def test_a_metric_that_nobody_defines_is_left_out() -> None:
    users = np.arange(5)
    sums = list_sums(users, users, np.ones(5), np.ones(5))
    assert set(estimates({"one": sums}, [], seed=1, replicates=10)) == {("one", "ndcg@5")}


def test_what_a_single_user_tells_has_no_interval() -> None:
    users, videos = np.array([1, 1, 2]), np.arange(3)
    one = list_sums(users, videos, np.array([1.0, 0.0, 1.0]), np.array([0.9, 0.1, 0.5]))
    other = list_sums(users, videos, np.array([1.0, 0.0, 1.0]), np.array([0.1, 0.9, 0.5]))
    found = estimates({"one": one, "other": other}, [("one", "other")], seed=1, replicates=50)
    assert found["one", "gauc"] == Estimate(1.0)
    assert found["one_minus_other", "primary"].low is None, "no gate may take one user for certainty"
    assert found["one", "ndcg@5"].low is not None


def test_without_a_row_no_metric_is_made_up() -> None:
    ids, none = np.empty(0, np.int64), np.empty(0)
    assert estimates({"none": list_sums(ids, ids, none, none)}, [], seed=1, replicates=10) == {}


def test_calibration_sees_what_is_off() -> None:
    generator = np.random.default_rng(1)
    chance = generator.random(ROWS)
    labels = (generator.random(ROWS) < chance).astype(float)
    assert calibration_ratio(labels, chance) == pytest.approx(1.0, abs=0.02)
    assert calibration_error(labels, chance) < 0.02
    assert calibration_error(labels, chance**2) > 0.1
    assert calibration_ratio(labels, chance / 2) == pytest.approx(0.5, abs=0.02)


def test_equal_predictions_share_one_bin() -> None:
    predicted, observed, rows = reliability(np.array([0.0, 1.0, 1.0, 1.0]), np.full(4, 0.7))
    assert (predicted, observed, rows) == (pytest.approx([0.7]), pytest.approx([0.75]), pytest.approx([4]))


def test_heads_report_what_is_defined_for_their_kind() -> None:
    ones, predicted = np.ones(10), np.full(10, 0.9)
    assert set(prediction_metrics("binary", ones, predicted)) == {"calibration_ratio", "log_loss", "calibration_error"}
    assert prediction_metrics("regression", ones, predicted)["rmse"] == pytest.approx(0.1)
