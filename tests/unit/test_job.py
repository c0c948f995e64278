"""Jobs: they touch what they declare, see one version of it throughout, and run in the order of their tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import MissingDataError, UsageError
from core.job import Job, JobContext, in_order
from core.lake import Lake, spark_schema
from core.recipe import load_recipe
from core.run import Request, run_jobs
from core.settings import Settings
from core.table import Column, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FIRST = date(2026, 1, 5)
DAYS = tuple(FIRST + timedelta(days=i) for i in range(4))


def table(name: str) -> Table:
    return Table(name, "A table.", "feed-data", (Column("user_id", "bigint", "Who.", minimum=0),), ("user_id",), 24)


def job(name: str, reads: Sequence[Table] = (), writes: Sequence[Table] = ()) -> Job:
    return Job(name, "A job.", "feed-data", tuple(reads), tuple(writes), run=lambda context: None)


LIKES, LIKERS, SECRETS = table("likes"), table("likers"), table("secrets")


def context(settings: Settings, days: Sequence[date] = DAYS[:1]) -> JobContext:
    count = job("count_likers", [LIKES], [LIKERS])
    return JobContext(count, tuple(days), settings, load_recipe("for_you"), "simulated", "", Lake(settings.lake))


def users(spark: SparkSession, count: int, days: Sequence[date] = DAYS[:1]) -> DataFrame:
    return spark.createDataFrame([(user, day) for user in range(count) for day in days], spark_schema(LIKES))


def give(settings: Settings, rows: DataFrame, days: Sequence[date] = DAYS[:1]) -> None:
    """Another job publishes `rows` as the likes of `days`."""
    other = JobContext(
        job("like", writes=[LIKES]), tuple(days), settings, load_recipe("for_you"), "", "", Lake(settings.lake)
    )
    other.publish(LIKES, rows)


def test_reading_an_undeclared_table_is_an_error_that_says_where_to_declare_it(settings: Settings) -> None:
    running = context(settings)
    for read in (running.read, running.read_arrow, running.days_of, lambda secret: running.read_window(secret, 1)):
        with pytest.raises(UsageError) as caught:
            read(SECRETS)
        assert "'count_likers'" in caught.value.what
        assert "'secrets'" in caught.value.what
        assert caught.value.where == "jobs/count_likers.py"
        assert caught.value.choices == ("likes",)


def test_writing_an_undeclared_table_is_an_error_and_writes_nothing(settings: Settings, spark: SparkSession) -> None:
    running = context(settings)
    with pytest.raises(UsageError, match="declare that it writes"):
        running.publish(LIKES, users(spark, 1))
    assert not running.lake.exists(LIKES)


def test_a_job_sees_one_version_of_a_table_however_often_it_reads(settings: Settings, spark: SparkSession) -> None:
    give(settings, users(spark, 2))
    running = context(settings)
    assert running.read(LIKES).count() == 2
    give(settings, users(spark, 5))
    assert running.read(LIKES).count() == 2
    assert running.read_arrow(LIKES).num_rows == 2
    assert context(settings).read(LIKES).count() == 5


def test_a_publish_tells_which_versions_it_rests_on(settings: Settings, spark: SparkSession) -> None:
    give(settings, users(spark, 2))
    running = context(settings)
    publish = running.publish(LIKERS, running.read(LIKES))
    assert publish.reads == {"likes": running.lake.open(LIKES).version()}
    assert (publish.job, publish.days[str(FIRST)].rows) == ("count_likers", 2)
    assert running.published == [publish]


def test_a_window_leaves_out_absent_days_but_never_the_last(settings: Settings, spark: SparkSession) -> None:
    give(settings, users(spark, 1, [DAYS[0], DAYS[1], DAYS[3]]), [DAYS[0], DAYS[1], DAYS[3]])
    window = context(settings, [DAYS[3]]).read_window(LIKES, 2)
    assert {found.ds for found in window.collect()} == {DAYS[1], DAYS[3]}
    with pytest.raises(MissingDataError, match=str(DAYS[2])):
        context(settings, [DAYS[2]]).read_window(LIKES, 2)


def test_days_after_ds_are_not_offered(settings: Settings, spark: SparkSession) -> None:
    give(settings, users(spark, 1, DAYS), DAYS)
    assert context(settings, [DAYS[1]]).days_of(LIKES) == list(DAYS[:2])


def test_jobs_stand_in_the_order_of_their_tables() -> None:
    a, b, c = table("a"), table("b"), table("c")
    # Names go against the order that the tables ask for.
    chain = [job("z_ingest", [], [a]), job("m_build", [a], [b]), job("a_rank", [a, b], [c]), job("b_report", [c])]
    assert [found.name for found in in_order({one.name: one for one in chain})] == [one.name for one in chain]


def test_an_application_is_given_the_spark_properties_that_its_jobs_need(settings: Settings) -> None:
    seen: list[dict[str, str]] = []
    train = Job("train", "A job.", "feed-data", (), (), run=lambda running: seen.append(running.settings.spark.extra))
    jobs = {"train": replace(train, spark={"patience": "2s", "tries": "1"}), "idle": job("idle")}
    told = replace(settings, spark=replace(settings.spark, extra={"tries": "4"}))
    run_jobs(jobs, ["idle", "train"], Request(FIRST, FIRST, load_recipe("for_you"), "", ""), told)
    assert seen == [{"patience": "2s", "tries": "4"}], "what the settings say wins"


def test_a_job_may_read_its_own_table_and_tables_that_nobody_here_writes() -> None:
    tiles = table("tiles")
    jobs = {"add_tiles": job("add_tiles", [tiles, table("elsewhere")], [tiles])}
    assert in_order(jobs) == [jobs["add_tiles"]]


def test_a_circle_is_an_error_that_names_its_jobs() -> None:
    a, b = table("a"), table("b")
    jobs = {"free": job("free"), "hen": job("hen", [a], [b]), "egg": job("egg", [b], [a])}
    with pytest.raises(UsageError, match="circle") as caught:
        in_order(jobs)
    assert set(caught.value.choices) == {"hen", "egg"}


@given(st.permutations(range(6)), st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_every_writer_stands_before_its_readers(names: list[int], edges: set[tuple[int, int]]) -> None:
    tables = [table(f"t{i}") for i in range(6)]
    jobs = [
        job(f"job_{names[i]}", [tables[first] for first, second in edges if second == i and first < i], [tables[i]])
        for i in range(6)
    ]
    order = in_order({one.name: one for one in jobs})
    place = {written.name: i for i, one in enumerate(order) for written in one.writes}
    assert len(order) == len(jobs)
    assert all(place[read.name] < i for i, one in enumerate(order) for read in one.reads)
