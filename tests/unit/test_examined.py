"""Where places differ in how much they are looked at, boosters tell what a video would bring at any place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.boosting import Plan, Rows, RowsInFile, grow
from models.calibration import NONE
from models.estimate import Estimate
from models.examination import Examination, at_places
from models.examined import starts, to_mean
from models.heads import HEADS
from models.ranker import HeadModel, Ranker, trees
from models.stored import Stored

FOUND = Examination((1, 2, 5), (Estimate(1.0, 1.0, 1.0), Estimate(0.6, 0.5, 0.7), Estimate(0.2, 0.1, 0.3)))
LONG_VIEW, WATCHED = (next(head for head in HEADS if head.name == name) for name in ("long_view", "watch_debiased"))
PARAMETERS = {
    "learning_rate": 0.2,
    "min_data_in_leaf": 200,
    "verbosity": -1,
    "num_threads": 1,
    "seed": 1,
    "deterministic": True,
}
LOOKED = np.array(at_places(FOUND, 5))


def test_places_have_the_examination_of_their_span() -> None:
    assert at_places(FOUND, 7) == [1.0, 0.6, 0.6, 0.6, 0.2, 0.2, 0.2]


@given(st.lists(st.floats(0.1, 1.0), min_size=2, max_size=9), st.floats(0.01, 0.9))
def test_rows_begin_at_the_rate_of_their_place_and_on_average_at_that_of_all(looked: list[float], rate: float) -> None:
    weight = np.ones(len(looked), np.float32)
    beside = to_mean(np.array(looked, np.float32), weight)
    if beside is None:
        assert len({np.float32(one) for one in looked}) == 1
        return
    assert beside.mean() == pytest.approx(1.0)
    assert starts(beside, rate, "regression").mean() == pytest.approx(rate)
    begun = 1 / (1 + np.exp(-starts(beside, rate, "binary")))
    assert np.allclose(begun, np.minimum(beside * rate, 1 - 1e-6))


def test_a_place_that_is_not_known_counts_as_the_mean() -> None:
    beside = to_mean(np.array([1.0, np.nan, 0.5], np.float32), np.array([1, 9, 3], np.float32))
    assert beside is not None
    assert np.allclose(beside, [1.6, 1.0, 0.8])
    assert to_mean(np.full(3, np.nan, np.float32), np.ones(3, np.float32)) is None


def shown(rows: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Whether videos are good, and how much the place of each is looked at: good ones stand where few look."""
    draw = np.random.default_rng(5)
    good = draw.random(rows) < 0.5
    place = np.where(draw.random(rows) < np.where(good, 0.8, 0.2), 5, 1)
    return good, LOOKED[place - 1]


@pytest.mark.parametrize("in_file", [False, True])
def test_boosters_tell_good_videos_though_they_stand_where_few_look(tmp_path: Path, in_file: bool) -> None:
    good, looked = shown(40_000)
    draw = np.random.default_rng(6)
    truth = np.where(good, 0.3, 0.2)
    came = draw.random(len(good)) < looked * truth
    labels = np.column_stack([came, looked * truth]).astype(np.float32)
    features = np.column_stack([good, draw.random(len(good))]).astype(np.float32)
    weight = np.ones(len(good), np.float32)
    stop = Rows(features, labels, weight, to_mean(looked.astype(np.float32), weight))
    features.tofile(tmp_path / "features")
    stored = RowsInFile(Stored(tmp_path / "features", *features.shape), labels, weight, stop.examined)
    means = tuple(float(mean) for mean in labels.mean(axis=0))
    plan = Plan(("good", "noise"), (), (LONG_VIEW, WATCHED), (4, 4), PARAMETERS, 80, 10, means)

    def predicted(train: Rows | RowsInFile, by: Rows) -> NDArray[np.float64]:
        boosters = grow(train, by, plan)
        models = [HeadModel(head.name, head.kind, trees(boosters[head.name]), 0.0, NONE) for head in plan.heads]
        return Ranker(plan.features, (), tuple(models)).predict(np.array([[1, 0], [0, 0]], np.float32))

    taught = predicted(stored if in_file else stop, stop)
    at_mean = np.array([[0.3], [0.2]]) * looked.mean()
    assert np.allclose(taught, at_mean, atol=0.02)
    misled = predicted(replace(stop, examined=None), replace(stop, examined=None))
    assert np.all(misled[0] < misled[1]), "the world of this test misleads nobody"
