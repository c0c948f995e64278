"""List metrics equal their definitions, written out user by user, on any labels and scores, ties included."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import mean_squared_error, ndcg_score, roc_auc_score

from models.bootstrap import estimates
from models.metrics import (
    CALIBRATION_BINS,
    auc,
    calibration_error,
    calibration_ratio,
    from_sums,
    list_sums,
    log_loss,
    reliability,
    rmse,
    tie_order,
)

Rows = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@st.composite
def rows(draw: st.DrawFn) -> Rows:
    """Users with one row or many, one label or both, and scores of which many are equal."""
    size = draw(st.integers(1, 60))
    users = draw(st.lists(st.integers(0, 8), min_size=size, max_size=size))
    labels = draw(st.lists(st.integers(0, 1), min_size=size, max_size=size))
    score = st.one_of(st.sampled_from([0.0, 0.25, 0.5]), st.floats(-5, 5, allow_subnormal=False))
    scores = draw(st.lists(score, min_size=size, max_size=size))
    videos = draw(st.permutations(range(size)))
    return np.array(users), np.array(videos), np.array(labels, float), np.array(scores, float)


def metrics_of(users: np.ndarray, videos: np.ndarray, labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    sums = list_sums(users, videos, labels, scores).columns.sum(axis=0, keepdims=True)
    return {metric: float(value[0]) for metric, value in from_sums(sums).items()}


def brute_force(users: np.ndarray, videos: np.ndarray, labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    won, weight, ndcgs = 0.0, 0.0, []
    for user in np.unique(users):
        mine = users == user
        label, score, video = labels[mine], scores[mine], videos[mine]
        if 0 < label.sum() < len(label):
            won += label.sum() * roc_auc_score(label, score)
            weight += label.sum()
        hashes = tie_order(video)
        order = sorted(range(len(label)), key=lambda i: (-score[i], hashes[i]))
        seen = sum((2 ** label[i] - 1) / math.log2(place + 2) for place, i in enumerate(order[:5]))
        best = sum((2**gain - 1) / math.log2(place + 2) for place, gain in enumerate(sorted(label, reverse=True)[:5]))
        ndcgs.append(seen / best if best else 0.0)
    gauc = won / weight if weight else math.nan
    ndcg = sum(ndcgs) / len(ndcgs)
    return {"gauc": gauc, "ndcg@5": ndcg, "primary": (gauc + ndcg) / 2}


@settings(deadline=None)
@given(rows())
def test_list_metrics_equal_their_definition(given_rows: Rows) -> None:
    assert metrics_of(*given_rows) == pytest.approx(brute_force(*given_rows), abs=1e-12, nan_ok=True)


@settings(deadline=None)
@given(rows())
def test_ndcg_equals_scikit_learn_where_no_scores_are_equal(given_rows: Rows) -> None:
    users, videos, labels, _ = given_rows
    scores = np.random.default_rng(len(users)).permutation(len(users)).astype(float)
    expected = []
    for user in np.unique(users):
        mine = users == user
        # scikit-learn refuses lists of one.
        single = float(labels[mine][0]) if mine.sum() == 1 else ndcg_score([labels[mine]], [scores[mine]], k=5)
        expected.append(single)
    assert metrics_of(users, videos, labels, scores)["ndcg@5"] == pytest.approx(np.mean(expected), abs=1e-12)


@settings(deadline=None)
@given(rows(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(given_rows: Rows, random: object) -> None:
    order = np.random.default_rng(random.randint(0, 1000)).permutation(len(given_rows[0]))  # type: ignore[attr-defined]
    shuffled = tuple(column[order] for column in given_rows)
    assert metrics_of(*shuffled) == pytest.approx(metrics_of(*given_rows), abs=1e-12, nan_ok=True)


@settings(deadline=None)
@given(rows())
def test_only_the_order_of_scores_within_a_user_counts(given_rows: Rows) -> None:
    users, videos, labels, scores = given_rows
    ranks = np.unique(scores, return_inverse=True)[1].astype(float)
    moved = ranks * 3.0 + users * 100.0
    expected = pytest.approx(metrics_of(users, videos, labels, scores), abs=1e-12, nan_ok=True)
    assert metrics_of(users, videos, labels, moved) == expected


@settings(deadline=None)
@given(rows())
def test_global_auc_and_log_loss_equal_scikit_learn(given_rows: Rows) -> None:
    _, _, labels, scores = given_rows
    probabilities = 1 / (1 + np.exp(-scores))
    assert log_loss(labels, probabilities) == pytest.approx(
        sklearn_log_loss(labels, probabilities, labels=[0, 1]), abs=1e-12
    )
    if 0 < labels.sum() < len(labels):
        assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    else:
        assert math.isnan(auc(labels, scores))


def bins_by_hand(predictions: np.ndarray, bins: int) -> list[list[int]]:
    """Rows by prediction, a bin beginning at every n/bins-th of them, rows of equal predictions in the last such."""
    rising = sorted(predictions)
    begins = sorted({rising[bin * len(rising) // bins] for bin in range(bins)})
    members: list[list[int]] = [[] for _ in begins]
    for row, prediction in enumerate(predictions):
        members[max(i for i, begin in enumerate(begins) if begin <= prediction)].append(row)
    return members


@given(rows(), st.integers(1, 30))
def test_calibration_equals_its_definition(given_rows: Rows, bins: int) -> None:
    _, _, labels, scores = given_rows
    predictions = 1 / (1 + np.exp(-scores))
    members = bins_by_hand(predictions, bins)
    expected = [[predictions[of].mean(), labels[of].mean(), len(of)] for of in members]
    assert np.column_stack(reliability(labels, predictions, bins)) == pytest.approx(np.array(expected), abs=1e-12)
    error = sum(len(of) * abs(predictions[of].mean() - labels[of].mean()) for of in members) / len(labels)
    assert calibration_error(labels, predictions, bins) == pytest.approx(error, abs=1e-12)
    ratio = sum(predictions) / sum(labels) if labels.any() else math.nan
    assert calibration_ratio(labels, predictions) == pytest.approx(ratio, abs=1e-12, nan_ok=True)


@given(rows())
def test_reliability_of_whole_bins_equals_scikit_learn(given_rows: Rows) -> None:
    _, _, labels, _ = given_rows
    labels = np.repeat(labels, CALIBRATION_BINS)
    predictions = np.random.default_rng(len(labels)).permutation(len(labels)) / len(labels)
    observed, predicted = calibration_curve(labels, predictions, n_bins=CALIBRATION_BINS, strategy="quantile")
    found = reliability(labels, predictions)
    assert found[0] == pytest.approx(predicted, abs=1e-12)
    assert found[1] == pytest.approx(observed, abs=1e-12)


@given(rows())
def test_the_root_mean_square_equals_scikit_learn(given_rows: Rows) -> None:
    _, _, labels, scores = given_rows
    assert rmse(labels, scores) == pytest.approx(math.sqrt(mean_squared_error(labels, scores)), abs=1e-12)


@given(rows())
def test_users_without_both_labels_count_for_ndcg_alone(given_rows: Rows) -> None:
    single = ([100, 101], [0, 0], [0.0, 1.0], [0.0, 0.0])
    more = [np.append(column, added) for column, added in zip(given_rows, single, strict=True)]
    before, after = metrics_of(*given_rows), metrics_of(*more)
    assert after["gauc"] == pytest.approx(before["gauc"], abs=1e-12, nan_ok=True)
    lists = len(np.unique(given_rows[0]))
    assert after["ndcg@5"] == pytest.approx((before["ndcg@5"] * lists + 1) / (lists + 2), abs=1e-12)


@settings(deadline=None)
@given(rows())
def test_a_system_does_not_differ_from_itself(given_rows: Rows) -> None:
    sums = list_sums(*given_rows)
    found = estimates({"a": sums, "b": sums}, [("a", "b")], seed=1, replicates=20)
    for (system, _), figure in found.items():
        if system == "a_minus_b":
            assert (figure.value, figure.low or 0.0, figure.high or 0.0) == (0.0, 0.0, 0.0)
