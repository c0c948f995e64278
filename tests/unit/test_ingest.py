"""What ingest lets through, what it refuses and why, and which copy of an impression stays."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.errors import ContractError
from core.lake import spark_schema
from core.tables.videos import TABLE as VIDEOS
from jobs.adapters._logs import RAW_IMPRESSIONS
from jobs.ingest_events import arrived_first, judge, quarantined, refuse_broken_logs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DAY, NEXT_DAY = date(2026, 1, 9), date(2026, 1, 10)
GOOD: dict[str, Any] = {
    "user_id": 1,
    "video_id": 7,
    "shown_at": datetime(2026, 1, 9, 10, 0, 0),  # noqa: DTZ001 (Spark reads it in the session's zone, UTC)
    "shown_on": DAY,
    "shown_hour": 10,
    "surface": 1,
    "position": 1,
    "is_random": False,
    "propensity": None,
    "duration_ms": None,
    "watch_ms": 5_000,
    "is_click": False,
    "is_long_view": False,
    "is_like": False,
    "is_follow": False,
    "is_comment": False,
    "is_share": False,
    "is_profile_visit": False,
    "is_not_interested": False,
    "ds": DAY,
    "faults": [],
}


def raw(spark: SparkSession, *changes: dict[str, Any]) -> DataFrame:
    ddl = ", ".join(f"{column.name} {column.type}" for column in RAW_IMPRESSIONS)
    names = [column.name for column in RAW_IMPRESSIONS]
    return spark.createDataFrame([tuple((GOOD | change)[name] for name in names) for change in changes], ddl)


@pytest.fixture(scope="module")
def videos(spark: SparkSession) -> DataFrame:
    rows = [(7, 70, 3, [3, 4], 20_000, None, "web", None, True, False, day) for day in (DAY, NEXT_DAY)]
    return spark.createDataFrame(rows, spark_schema(VIDEOS))


def test_a_good_row_gets_author_tag_and_length_from_its_video(spark: SparkSession, videos: DataFrame) -> None:
    (row,) = judge(raw(spark, {}), videos).collect()
    assert (row["reasons"], row["author_id"], row["tag_id"], row["duration_ms"]) == ([], 70, 3, 20_000)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"user_id": None}, "user_id_missing"),
        ({"watch_ms": -1}, "watch_ms_out_of_range"),
        ({"watch_ms": None, "faults": ["watch_ms_not_a_number"]}, "watch_ms_not_a_number"),
        ({"video_id": 8}, "video_unknown"),
        ({"shown_on": NEXT_DAY}, "shown_after_arrival"),
        ({"shown_on": date(2026, 1, 1)}, "too_late"),
        ({"propensity": 1.5}, "propensity_out_of_range"),
        ({"shown_hour": 24}, "shown_hour_out_of_range"),
    ],
)
def test_a_broken_row_is_refused_with_its_reason(
    spark: SparkSession, videos: DataFrame, change: dict[str, Any], reason: str
) -> None:
    judged = judge(raw(spark, {}, {"user_id": 2} | change), videos)
    assert judged.where("size(reasons) = 0").count() == 1
    (refused,) = quarantined(judged).collect()
    assert reason in refused["reasons"]
    assert refused["copies"] == 1


@hypothesis_settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(copies=st.integers(1, 5), watches=st.permutations([1_000, 2_000, 9_000]))
def test_copies_are_one_impression_and_the_longest_watch_stays(
    spark: SparkSession, videos: DataFrame, copies: int, watches: list[int]
) -> None:
    rows = [{"watch_ms": watch} for watch in watches for _ in range(copies)]
    (row,) = judge(raw(spark, *rows), videos).collect()
    assert (row["watch_ms"], row["copies"]) == (9_000, 3 * copies)


def test_a_copy_that_arrives_on_a_later_day_is_dropped(spark: SparkSession, videos: DataFrame) -> None:
    good = judge(raw(spark, {}, {"ds": NEXT_DAY}, {"ds": NEXT_DAY, "user_id": 2}), videos)
    together = {(row["user_id"], row["ds"]) for row in arrived_first(good, None).collect()}
    assert together == {(1, DAY), (2, NEXT_DAY)}
    alone = arrived_first(good.where("ds = '2026-01-10'"), good.where("ds = '2026-01-09'"))
    assert {(row["user_id"], row["ds"]) for row in alone.collect()} == {(2, NEXT_DAY)}


def test_logs_that_are_mostly_broken_stop_the_night(spark: SparkSession, videos: DataFrame) -> None:
    broken = [{"user_id": n, "watch_ms": -1} for n in range(2, 5)]
    with pytest.raises(ContractError, match=r"3 of 4 impressions are broken.*watch_ms_out_of_range \(3\)"):
        refuse_broken_logs(judge(raw(spark, {}, *broken), videos))
