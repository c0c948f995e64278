"""The debiased watch label: an exact percentile of the train part, and flat over durations where the raw one is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from features.duration_buckets import EDGES_SECONDS
from models.labels import WATCH_CAP_MS
from models.watch_quantile import (
    BUCKETS,
    STEP_MS,
    STEPS,
    UNKNOWN,
    percentiles,
    rates_by_duration,
    watch_counts,
    with_percentile,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ROWS = 20_000
SCHEMA = "id bigint, part string, duration_ms bigint, watch_ms bigint"


@given(counts=arrays(np.int64, (3, 40), elements=st.integers(0, 10**9)))
def test_percentiles_never_fall_and_mean_one_half(counts: NDArray[np.int64]) -> None:
    found = percentiles(counts)
    for of_bucket, bucket in zip(found, counts, strict=True):
        if not bucket.any():
            assert np.isnan(of_bucket).all()
            continue
        assert (of_bucket >= 0).all()
        assert (of_bucket <= 1).all()
        assert (np.diff(of_bucket) >= 0).all()
        assert np.average(of_bucket, weights=bucket) == pytest.approx(0.5, abs=1e-9)


def test_ties_count_half() -> None:
    found = percentiles(np.array([[1, 0, 2, 1]]))
    assert found.tolist() == [[0.125, 0.25, 0.5, 0.875]]


@pytest.fixture(scope="module")
def impressions() -> list[tuple[int, str, int | None, int]]:
    """Rows of all parts; videos of 6 to 10 s are in no row of train, some videos have no known length."""
    generator = np.random.default_rng(3)
    parts = generator.choice(["train", "validate", "test"], 1_000, p=[0.6, 0.2, 0.2])
    made: list[tuple[int, str, int | None, int]] = []
    for number, part in enumerate(parts):
        lengths = [None, 3_000, 4_999, 5_000, 25_000, 70_000, 400_000, *([] if part == "train" else [9_000])]
        duration = lengths[generator.integers(len(lengths))]
        watch = int(generator.choice([0, 1, 100, 101, WATCH_CAP_MS - 1, WATCH_CAP_MS, 200_000, -1]))
        made.append((number, str(part), duration, watch if watch >= 0 else int(generator.integers(0, 70_000))))
    return made


@pytest.fixture(scope="module")
def frame(spark: SparkSession, impressions: list[tuple[int, str, int | None, int]]) -> DataFrame:
    return spark.createDataFrame(impressions, SCHEMA).cache()


def labelled(frame: DataFrame) -> dict[int, float | None]:
    rows = with_percentile(frame, percentiles(watch_counts(frame)))
    assert rows.columns == [*frame.columns, "watch_percentile"]
    return {row["id"]: row["watch_percentile"] for row in rows.collect()}


def test_it_equals_brute_force(frame: DataFrame, impressions: list[tuple[int, str, int | None, int]]) -> None:
    def bucket(duration: int | None) -> int:
        return UNKNOWN if duration is None else sum(duration >= edge * 1_000 for edge in EDGES_SECONDS)

    def step(watch: int) -> int:
        return STEPS - 1 if watch >= WATCH_CAP_MS else -(-watch // STEP_MS)

    found = labelled(frame)
    assert len(found) == len(impressions)
    for number, _, duration, watch in impressions:
        peers = [step(w) for _, part, d, w in impressions if part == "train" and bucket(d) == bucket(duration)]
        if not peers:
            assert duration == 9_000
            assert found[number] is None
            continue
        lower, equal = (sum(sign(peer, step(watch)) for peer in peers) for sign in (int.__lt__, int.__eq__))
        assert found[number] == (lower + equal / 2) / len(peers)


def test_the_train_part_means_one_half_in_every_bucket(frame: DataFrame) -> None:
    counts = watch_counts(frame)
    assert counts.shape == (BUCKETS, STEPS)
    assert counts.sum() == frame.where("part = 'train'").count()
    there = counts.sum(axis=1) > 0
    assert there[UNKNOWN]
    weighted = (percentiles(counts)[there] * counts[there]).sum(axis=1) / counts[there].sum(axis=1)
    assert np.allclose(weighted, 0.5, atol=1e-9, rtol=0)


def test_neither_the_order_nor_the_partitions_of_rows_matter(frame: DataFrame) -> None:
    from pyspark.sql import functions as F

    again = frame.orderBy(F.xxhash64("id")).repartition(7)
    assert labelled(again) == labelled(frame)


def test_later_parts_teach_nothing(frame: DataFrame) -> None:
    from pyspark.sql import functions as F

    poisoned = frame.withColumn("watch_ms", F.when(F.col("part") == "train", F.col("watch_ms")).otherwise(0))
    train = {row["id"] for row in frame.where("part = 'train'").collect()}
    before, after = labelled(frame), labelled(poisoned)
    assert {number: before[number] for number in train} == {number: after[number] for number in train}
    assert np.array_equal(watch_counts(frame), watch_counts(poisoned))


def world(stretch: float) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Lengths, long views and exact percentiles: watch time grows with length to the power `stretch`."""
    generator = np.random.default_rng(5)
    duration = np.exp(generator.uniform(np.log(4_000), np.log(300_000), ROWS)).round()
    watch = np.minimum(12_000 * (duration / 30_000) ** stretch * generator.exponential(size=ROWS), 200_000)
    long_view = watch >= np.minimum(duration, 18_000)
    bucket = np.searchsorted(np.array(EDGES_SECONDS) * 1_000, duration, side="right")
    step = np.where(watch >= WATCH_CAP_MS, STEPS - 1, np.ceil(watch / STEP_MS)).astype(int)
    counts = np.zeros((BUCKETS, STEPS), np.int64)
    np.add.at(counts, (bucket, step), 1)
    return duration, long_view, percentiles(counts)[bucket, step]


@pytest.mark.parametrize("stretch", [0.3, 0.6, 0.9])
def test_positive_rates_flatten_where_watch_time_scales_with_length(stretch: float) -> None:
    rates = rates_by_duration(*world(stretch))
    raw, debiased = rates.spread
    assert raw > 0.2
    assert debiased < raw / 4
    total = (rates.rows * rates.long_view).sum(), (rates.rows * rates.debiased).sum()
    assert total[1] == pytest.approx(total[0], rel=0.01)


def test_rates_are_of_rows_that_have_length_and_label() -> None:
    duration = np.array([1.0, 2.0, np.nan, 3.0, 4.0])
    rates = rates_by_duration(duration, np.array([1, 0, 1, 0, 1]), np.array([0.1, 0.9, 0.8, np.nan, 0.7]))
    assert rates.rows.sum() == 3
    assert rates.threshold == 0.7
    assert np.nansum(rates.rows * rates.debiased) == 2
    assert np.nanmax(rates.longest_ms) == 4.0
    assert np.isnan(rates.long_view[rates.rows == 0]).all()
