"""Drift of features: distances by hand and by their laws, and the job that tells which features moved."""

from __future__ import annotations

import logging
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from written_tables import write

from core.job import JobContext
from core.lake import Lake
from core.recipe import load_recipe
from core.settings import Settings
from core.tables.feature_drift import TABLE as FEATURE_DRIFT
from core.tables.training_examples import TABLE as TRAINING_EXAMPLES
from features.catalog import categorical_names, feature_names
from jobs._report_models import drift
from jobs.measure_drift import JOB
from models.drift import Drift, Floats, drifts

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = date(2026, 1, 9)
MATRICES = arrays(
    np.float32,
    st.tuples(st.integers(1, 40), st.just(3)),
    elements=st.one_of(st.just(np.nan), st.integers(-300, 300).map(float)),
)


def of(before: Floats, now: Floats, *categories: str) -> Drift:
    (found,) = drifts(before[:, None], now[:, None], ["x"], categories)
    return found


def floats(*values: float) -> Floats:
    return np.array(values, np.float32)


def test_distances_are_those_made_by_hand() -> None:
    # Each value goes up by 2; the standard deviation of 0, 2, 2, 4 is √2.
    moved = of(floats(0, 2), floats(2, 4))
    assert (moved.distance, moved.mean_before, moved.mean_now) == (pytest.approx(2**0.5), 1.0, 3.0)
    # A category: of 1, 1, 7, 9 the 9 and a 1 would have to be 7.
    assert of(floats(1, 1, 9, 7), floats(7, 1, 7, 7), "x").distance == 0.5
    assert of(floats(3, 3), floats(3)).distance == 0.0
    grown = of(floats(0, 0), floats(0, 4))
    assert (grown.distance, grown.is_worth_a_look) == (pytest.approx(2 / 3**0.5), True)


def test_unknown_values_are_counted_apart() -> None:
    lost = of(floats(1, 2, 1, 2), floats(1, 2, np.nan, np.nan))
    assert (lost.distance, lost.unknown_before, lost.unknown_now, lost.is_worth_a_look) == (0.0, 0.0, 0.5, True)
    gone = of(floats(1, 2), floats(np.nan))
    assert (gone.distance, gone.mean_before, gone.mean_now, gone.unknown_now) == (None, 1.5, None, 1.0)
    assert not of(floats(np.nan), floats(np.nan)).is_worth_a_look


@given(MATRICES, MATRICES, st.floats(0.1, 10), st.integers(-50, 50))
def test_a_distance_is_one_of_the_rows_whatever_their_order_and_the_unit(
    before: Floats, now: Floats, scale: float, shift: int
) -> None:
    def distances(*rows: Floats) -> dict[str, float]:
        return {one.feature: one.distance or 0.0 for one in drifts(*rows, ["a", "b", "c"], ["c"])}

    there = distances(before, now)
    assert all(value >= 0 for value in there.values())
    assert there["c"] <= 1
    assert list(there.values()) == sorted(there.values(), reverse=True)
    assert distances(before[::-1], now[::-1]) == pytest.approx(there)
    assert distances(now, before) == pytest.approx(there)
    assert set(distances(before, before[::-1]).values()) == {0.0}
    assert distances(before * scale + shift, now * scale + shift) == pytest.approx(there, rel=1e-3, abs=1e-3)


@pytest.fixture
def examples() -> list[dict[str, object]]:
    """400 rows to learn from, 200 to test by, of which the second feature has moved and the third is now unknown."""
    draw = np.random.default_rng(3)
    rows: list[dict[str, object]] = []
    for part, count in (("train", 400), ("validate", 50), ("test", 200)):
        features = draw.normal(size=(count, len(feature_names())))
        for name in categorical_names():
            features[:, feature_names().index(name)] = draw.integers(4, size=count)
        if part == "test":
            features[:, 1] += 2
            features[:, 2] = np.nan
        rows += [{"part": part, "features": one.tolist(), "user_id": i} for i, one in enumerate(features)]
    return rows


def test_features_that_moved_are_told_first_logged_and_drawn(
    spark: SparkSession,
    settings: Settings,
    lake: Lake,
    caplog: pytest.LogCaptureFixture,
    examples: list[dict[str, object]],
) -> None:
    write(lake, TRAINING_EXAMPLES, DAY, examples)
    with caplog.at_level(logging.WARNING, "reelfeed"):
        JOB.run(JobContext(JOB, (DAY,), settings, load_recipe("for_you"), "", "", lake))
    rows = {row["feature"]: row for row in lake.read_arrow(FEATURE_DRIFT, [DAY]).to_pylist()}
    names = feature_names()
    assert rows.keys() == set(names)
    moved, unknown = rows[names[1]], rows[names[2]]
    assert (moved["distance"] > 1, unknown["unknown_now"], unknown["distance"]) == (True, 1.0, None)
    assert moved["mean_now"] - moved["mean_before"] == pytest.approx(2, abs=0.3)
    assert {(row["rows_before"], row["rows_now"]) for row in rows.values()} == {(400, 200)}
    assert max(row["distance"] for name, row in rows.items() if name not in names[1:3]) < 0.5
    assert f"2 of {len(names)} features have moved, ['{names[1]}', '{names[2]}'] first" in caplog.text
    section = drift(lake, DAY)
    assert f"200 rows of the test days beside 400 that were learned from. 2 of {len(names)}" in section.text[0]
    assert [row[0] for row in section.grids[0].rows[:2]] == [names[1], names[2]]
    assert section.grids[0].rows[1][3:] == ("", "0.0%", "100.0%")


def test_without_newer_rows_nothing_is_measured_and_the_report_says_so(
    spark: SparkSession, settings: Settings, lake: Lake, examples: list[dict[str, object]]
) -> None:
    assert "Not measured yet" in drift(lake, DAY).text[0]
    write(lake, TRAINING_EXAMPLES, DAY, [row for row in examples if row["part"] != "test"])
    JOB.run(JobContext(JOB, (DAY,), settings, load_recipe("for_you"), "", "", lake))
    assert lake.days(FEATURE_DRIFT) == [DAY]
    assert "Not measured yet" in drift(lake, DAY).text[0]
