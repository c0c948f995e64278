"""Features in a file: the trees are those of the matrix in memory, and the file is never read whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models import stored
from models.boosting import Plan, Rows, RowsInFile, grow
from models.heads import HEADS
from models.ranker_training import PARAMETERS
from models.stored import Stored

NAMES = tuple(f"feature_{i}" for i in range(5))
ROWS, STOP = 5_000, 1_000
PARAMETERS_HERE = {**PARAMETERS, "seed": 7, "num_threads": 1}


def made(count: int, seed: int) -> Rows:
    """Labels follow three features; one of those is a code, one is unknown in places, and one almost always 0."""
    draw = np.random.default_rng(seed)
    features = draw.normal(size=(count, len(NAMES))).astype(np.float32)
    features[:, 3] = draw.integers(0, 4, count)
    features[:, 4] = draw.random(count) < 0.01
    chance = 1 / (1 + np.exp(-features[:, 0] - 2 * (features[:, 3] == 2)))
    labels = (draw.random((count, 2)) < np.column_stack([chance, chance / 4])).astype(np.float32)
    labels[::17, 1] = np.nan
    features[::9, 0] = np.nan
    return Rows(features, labels, draw.uniform(0.5, 3, count).astype(np.float32))


PLAN = Plan(NAMES, (NAMES[3],), HEADS[:2], (15, 7), PARAMETERS_HERE, 12, 12)


def in_file(rows: Rows, path: Path) -> RowsInFile:
    rows.features.tofile(path)
    return RowsInFile(Stored(path, *rows.features.shape), rows.labels, rows.weight)


def texts(train: Rows | RowsInFile, stop: Rows) -> list[str]:
    return [booster.model_to_string() for booster in grow(train, stop, PLAN).values()]


@pytest.mark.parametrize("block", [333, 16_384])
def test_trees_of_a_file_are_those_of_the_same_matrix_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(stored, "BLOCK", block)
    train, stop = made(ROWS, 1), made(STOP, 2)
    assert texts(in_file(train, tmp_path / "features"), stop) == texts(train, stop)


def test_bins_from_a_sample_make_the_same_trees_each_time_and_as_good_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, stop = made(ROWS, 1), made(STOP, 2)
    whole = grow(train, stop, PLAN)
    monkeypatch.setattr(stored, "SAMPLE", ROWS // 5)
    sampled = grow(in_file(train, tmp_path / "features"), stop, PLAN)
    again = grow(in_file(train, tmp_path / "features"), stop, PLAN)
    for head, booster in sampled.items():
        assert booster.model_to_string() == again[head].model_to_string()
        loss, of_whole = (each[head].best_score["valid_0"]["binary_logloss"] for each in (sampled, whole))
        assert loss == pytest.approx(of_whole, rel=0.01)


def test_rows_are_taken_where_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "BLOCK", 7)
    rows = made(50, 3)
    features = in_file(rows, tmp_path / "features").features
    places = np.array([0, 6, 7, 8, 30, 49])
    assert np.array_equal(features.take(places), rows.features[places], equal_nan=True)
    assert np.array_equal(features.block(40, 50), rows.features[40:], equal_nan=True)
