"""The factorisation machine: what it learns of values and of pairs of them, and what it makes of strangers."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import ContractError
from models.factorisation import Machine, Plan, fit
from models.metrics import auc

USERS, VIDEOS, ROWS, LEARNT = 100, 60, 12_000, 9_000
BIASES_ALONE = Plan(rank=0)


def planted(strength: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns fields (user, video), their true log odds and labels; `strength` is that of tastes of two dimensions."""
    draw = np.random.default_rng(1)
    fields = np.column_stack([draw.integers(0, USERS, ROWS) * 7, draw.integers(0, VIDEOS, ROWS)])
    tastes, videos = draw.normal(size=(USERS, 2)), draw.normal(size=(VIDEOS, 2))
    liked = 0.7 * draw.normal(size=VIDEOS)
    odds = liked[fields[:, 1]] - 0.5 + strength * (tastes[fields[:, 0] // 7] * videos[fields[:, 1]]).sum(axis=1)
    return fields, odds, (draw.random(ROWS) < 1 / (1 + np.exp(-odds))).astype(float)


def learnt(strength: float, plan: Plan | None = None, seed: int = 5) -> tuple[Machine, float, float]:
    """Returns a machine, the AUC of its log odds on rows that it hasn't seen, and that of the true ones."""
    fields, odds, labels = planted(strength)
    machine = fit(fields[:LEARNT], labels[:LEARNT], seed, plan)
    return machine, auc(labels[LEARNT:], machine.log_odds(fields[LEARNT:])), auc(labels[LEARNT:], odds[LEARNT:])


def test_tastes_are_learnt_that_no_sum_of_biases_can_tell() -> None:
    _, found, truth = learnt(strength=1.0)
    _, biases, _ = learnt(strength=1.0, plan=BIASES_ALONE)
    assert found > biases + 0.05
    assert truth - found < 0.04


def test_where_there_are_no_tastes_vectors_fade_and_harm_nothing() -> None:
    machine, found, _ = learnt(strength=0.0, plan=Plan(rank=4))
    _, biases, _ = learnt(strength=0.0, plan=BIASES_ALONE)
    assert abs(found - biases) < 0.002
    assert all(np.abs(vectors).max() < 0.05 for vectors in machine.vectors)


def test_log_odds_of_what_was_learnt_from_have_the_labels_mean() -> None:
    fields, _, labels = planted(strength=1.0)
    odds = fit(fields, labels, seed=5).log_odds(fields)
    assert np.mean(1 / (1 + np.exp(-odds))) == pytest.approx(labels.mean(), abs=0.005)


def test_same_seed_same_machine_and_ids_are_names_only() -> None:
    fields, _, labels = planted(strength=1.0)
    one, other = (fit(ids, labels, seed=5) for ids in (fields, fields + 1_000))
    assert all(np.array_equal(a, b) for a, b in zip(one.vectors, other.vectors, strict=True))
    assert all(np.array_equal(a + 1_000, b) for a, b in zip(one.values, other.values, strict=True))
    assert not np.array_equal(one.vectors[0], fit(fields, labels, seed=6).vectors[0])


def test_a_stranger_has_neither_bias_nor_vector() -> None:
    machine, _, _ = learnt(strength=1.0)
    video = int(machine.values[1][3])
    assert machine.log_odds(np.array([[-1, -1], [-1, video]])) == pytest.approx(
        [machine.intercept, machine.intercept + machine.biases[1][3]]
    )


@pytest.mark.parametrize(
    ("fields", "labels", "says"),
    [
        (np.zeros((0, 2), int), np.zeros(0), "no rows"),
        (np.zeros((3, 2), int), np.zeros(2), "2 labels of 3 rows"),
        (np.zeros((2, 2), int), np.array([0.0, np.nan]), "labels other than 0 and 1"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(fields: np.ndarray, labels: np.ndarray, says: str) -> None:
    with pytest.raises(ContractError, match=says):
        fit(fields, labels, seed=1)


def test_rows_of_other_fields_are_refused() -> None:
    machine, _, _ = learnt(strength=0.0, plan=BIASES_ALONE)
    with pytest.raises(ContractError, match="2 fields of this machine"):
        machine.log_odds(np.zeros((4, 3), int))
