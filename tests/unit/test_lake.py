"""The lake: a publish is whole or not at all, the same content is no change, and every version can be read again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from core import contract
from core.contract import Finding
from core.errors import ContractError, MissingDataError
from core.lake import Lake, Publish, spark_schema
from core.table import Column, MeanBetween, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MONDAY, TUESDAY, WEDNESDAY = (date(2026, 1, 5) + timedelta(days=i) for i in range(3))

WATCHES = Table(
    name="watches",
    doc="How much of a video each user watched.",
    owner="feed-data",
    columns=(
        Column("user_id", "bigint", "Who.", minimum=0),
        Column("share", "double", "How much of it.", minimum=0.0, maximum=1.0),
        Column("tags", "array<int>", "What it was about."),
        Column("screen", "string", "Where.", nullable=True, choices=("home", "search")),
    ),
    key=("user_id",),
    fresh_for_hours=24,
    checks=(MeanBetween("share", 0.1, 1.0, "tell"),),
)
SPARSE = Table("sparse", "May have no rows.", "feed-data", WATCHES.columns, ("user_id",), 24, min_rows=0)

Row = tuple[Any, ...]


def row(user_id: int, share: float = 0.5, day: date = MONDAY) -> Row:
    return (user_id, share, [user_id, 7], "home", day)


def frame(spark: SparkSession, rows: Sequence[Row]) -> DataFrame:
    return spark.createDataFrame(list(rows), spark_schema(WATCHES))


def judged(rows: DataFrame, table: Table, seen: list[Finding]) -> list[Finding]:
    return [*seen, *contract.repeated_keys(rows, table)]


def publish(lake: Lake, rows: DataFrame, days: Sequence[date] = (MONDAY,), table: Table = WATCHES) -> Publish:
    return lake.publish(
        rows, table, days, validate=judged, job="watch_videos", seconds=lambda: 1.5, reads={"impressions": 4}
    )


def content(lake: Lake, spark: SparkSession, day: date = MONDAY, version: int | None = None) -> list[Row]:
    return sorted(tuple(found) for found in lake.read(spark, WATCHES, [day], version).collect())


def test_what_was_published_is_read_again_by_spark_and_by_arrow(lake: Lake, spark: SparkSession) -> None:
    rows = [row(1), row(2, 0.25), row(3, day=TUESDAY)]
    done = publish(lake, frame(spark, rows), [MONDAY, TUESDAY])
    assert content(lake, spark) == rows[:2]
    assert {day: part.rows for day, part in done.days.items()} == {"2026-01-05": 2, "2026-01-06": 1}
    assert lake.days(WATCHES) == [MONDAY, TUESDAY]
    arrow = lake.read_arrow(WATCHES, [MONDAY], ["user_id", "share"])
    assert sorted(arrow.to_pydict()["user_id"]) == [1, 2]
    assert arrow.column_names == ["user_id", "share"]
    assert lake.history(WATCHES)[0] == done
    assert (done.job, done.reads, done.seconds) == ("watch_videos", {"impressions": 4}, 1.5)


def test_a_publish_replaces_its_own_days_and_no_other(lake: Lake, spark: SparkSession) -> None:
    days = [MONDAY, TUESDAY, WEDNESDAY]
    publish(lake, frame(spark, [row(user, day=day) for user in (1, 2) for day in days]), days)
    publish(lake, frame(spark, [row(9, day=TUESDAY)]), [TUESDAY])
    assert [[found[0] for found in content(lake, spark, day)] for day in days] == [[1, 2], [9], [1, 2]]


def test_the_same_content_again_is_no_new_version_whatever_its_order(lake: Lake, spark: SparkSession) -> None:
    rows = [row(user, user / 100) for user in range(50)]
    first = publish(lake, frame(spark, rows))
    for again in (frame(spark, rows[::-1]), frame(spark, rows).repartition(5), frame(spark, rows).coalesce(1)):
        assert publish(lake, again) == first
    assert lake.open(WATCHES).version() == first.version
    folders = {path.name for path in Path(lake.path(WATCHES)).glob("publish=*")}
    assert len(folders) == 1


def test_days_that_came_one_by_one_are_no_new_version_together(lake: Lake, spark: SparkSession) -> None:
    for day in (MONDAY, TUESDAY):
        last = publish(lake, frame(spark, [row(1, day=day)]), [day])
    again = publish(lake, frame(spark, [row(1, day=MONDAY), row(1, day=TUESDAY)]), [MONDAY, TUESDAY])
    assert lake.open(WATCHES).version() == last.version
    assert {day: part.rows for day, part in again.days.items()} == {"2026-01-05": 1, "2026-01-06": 1}


def test_a_single_changed_value_is_a_new_version(lake: Lake, spark: SparkSession) -> None:
    first = publish(lake, frame(spark, [row(1), row(2)]))
    second = publish(lake, frame(spark, [row(1), row(2, 0.500001)]))
    assert second.version > first.version
    assert second.days["2026-01-05"].hash != first.days["2026-01-05"].hash


def test_a_row_is_added_to_a_day_in_one_commit_and_a_publish_of_that_day_replaces_it(
    lake: Lake, spark: SparkSession
) -> None:
    one = {"user_id": 3, "share": 0.25, "tags": [3, 7], "screen": None}
    with pytest.raises(MissingDataError, match="never published"):
        lake.append(WATCHES, MONDAY, [one], job="by_hand")
    first = publish(lake, frame(spark, [row(1), row(2, day=TUESDAY)]), [MONDAY, TUESDAY])
    version = lake.append(WATCHES, MONDAY, [one], job="by_hand")
    assert version == first.version + 1
    assert content(lake, spark) == [row(1), (3, 0.25, [3, 7], None, MONDAY)]
    assert content(lake, spark, TUESDAY) == [row(2, day=TUESDAY)]
    newest = lake.history(WATCHES)[0]
    assert (newest.job, newest.days["2026-01-05"].rows) == ("by_hand", 2)
    with pytest.raises(ContractError, match="rows without share, tags"):
        lake.append(WATCHES, MONDAY, [{"user_id": 4}], job="by_hand")
    assert lake.open(WATCHES).version() == version
    publish(lake, frame(spark, [row(1)]))
    assert content(lake, spark) == [row(1)]


BAD = {
    "rows of 2026-01-06, which this run does not write": [row(2), row(3, day=TUESDAY)],
    "0 rows for 2026-01-05, at least 1 expected": [],
    "1 keys appear more than once, one is ds=2026-01-05, user_id=2": [row(2), row(2, 0.25)],
    "1 of 2 rows: share_missing": [row(2), row(3, None)],  # type: ignore[arg-type]
    "1 of 1 rows: share_missing": [row(3, float("nan"))],
    "2 of 2 rows: share_out_of_range": [row(2, 1.5), row(3, -0.5)],
    "1 of 1 rows: user_id_out_of_range": [row(-1)],
    "1 of 1 rows: screen_not_a_choice": [(2, 0.5, [], "cinema", MONDAY)],
}


@pytest.mark.parametrize("said", BAD)
def test_bad_rows_are_refused_and_the_last_version_stays(lake: Lake, spark: SparkSession, said: str) -> None:
    before = publish(lake, frame(spark, [row(1)]))
    with pytest.raises(ContractError) as caught:
        publish(lake, frame(spark, BAD[said]))
    assert said in caught.value.what
    assert "watches" in caught.value.where
    assert lake.open(WATCHES).version() == before.version
    assert content(lake, spark) == [row(1)]


def test_bad_rows_on_the_first_publish_leave_no_table(lake: Lake, spark: SparkSession) -> None:
    with pytest.raises(ContractError):
        publish(lake, frame(spark, [row(1, 1.5)]))
    assert not lake.exists(WATCHES)
    with pytest.raises(MissingDataError, match="2026-01-05"):
        lake.read(spark, WATCHES, [MONDAY])


def test_a_day_published_before_a_column_came_is_written_again_with_it(lake: Lake, spark: SparkSession) -> None:
    publish(lake, frame(spark, [row(1), row(2, day=TUESDAY)]), [MONDAY, TUESDAY])
    added = Column("session", "bigint", "In which session, null where unknown.", nullable=True)
    now = replace(WATCHES, columns=(*WATCHES.columns, added))
    rows = spark.createDataFrame([(1, 0.5, [1, 7], "home", None, MONDAY)], spark_schema(now))
    first = publish(lake, rows, table=now)
    assert lake.read_arrow(now, [MONDAY, TUESDAY], ["user_id", "session"]).to_pydict()["session"] == [None, None]
    assert publish(lake, rows, table=now) == first, "the same again changes nothing"


def test_another_schema_is_refused_with_every_mismatch(lake: Lake, spark: SparkSession) -> None:
    publish(lake, frame(spark, [row(1)]))
    wrong = frame(spark, [row(2)]).selectExpr("cast(user_id as int) user_id", "share", "tags", "1 as extra", "ds")
    with pytest.raises(ContractError) as caught:
        publish(lake, wrong)
    for said in ("'screen' is missing", "'extra' is not declared", "'user_id' is int, declared bigint"):
        assert said in caught.value.what
    assert content(lake, spark) == [row(1)]


def test_a_check_that_only_tells_publishes_with_a_note(lake: Lake, spark: SparkSession) -> None:
    done = publish(lake, frame(spark, [row(1, 0.01)]))
    assert "mean of share is 0.01" in done.notes[0]
    assert content(lake, spark) == [row(1, 0.01)]


def test_an_older_version_is_read_as_it_was(lake: Lake, spark: SparkSession) -> None:
    first = publish(lake, frame(spark, [row(1)]))
    publish(lake, frame(spark, [row(2)]))
    assert content(lake, spark, version=first.version) == [row(1)]
    assert lake.read_arrow(WATCHES, [MONDAY], ["user_id"], first.version).to_pydict() == {"user_id": [1]}
    with pytest.raises(MissingDataError, match="no version 99"):
        lake.read(spark, WATCHES, [MONDAY], 99)


def test_restore_undoes_and_the_lake_knows_what_stands(lake: Lake, spark: SparkSession) -> None:
    first = publish(lake, frame(spark, [row(1)]))
    second = publish(lake, frame(spark, [row(2)]))
    publish(lake, frame(spark, [row(3, day=TUESDAY)]), [TUESDAY])
    lake.restore(WATCHES, first.version)
    assert content(lake, spark) == [row(1)]
    assert lake.days(WATCHES) == [MONDAY]
    assert lake.partitions(WATCHES, [MONDAY, TUESDAY]) == first.days
    # What was undone is a change again, what stands is none.
    assert publish(lake, frame(spark, [row(1)])) == first
    assert publish(lake, frame(spark, [row(2)])).days == second.days
    assert content(lake, spark) == [row(2)]
    lake.restore(WATCHES, second.version)
    lake.restore(WATCHES, first.version)
    assert lake.partitions(WATCHES, [MONDAY]) == first.days


def test_restoring_an_absent_version_changes_nothing(lake: Lake, spark: SparkSession) -> None:
    done = publish(lake, frame(spark, [row(1)]))
    with pytest.raises(MissingDataError):
        lake.restore(WATCHES, 99)
    assert lake.open(WATCHES).version() == done.version


def stored(lake: Lake) -> set[str]:
    return {path.name for path in Path(lake.path(WATCHES)).rglob("*.parquet")}


def test_vacuum_keeps_what_is_served(lake: Lake, spark: SparkSession) -> None:
    publish(lake, frame(spark, [row(1)]))
    publish(lake, frame(spark, [row(2)]))
    two = stored(lake)
    assert lake.vacuum(WATCHES, timedelta(days=7)) == []
    assert stored(lake) == two
    assert lake.vacuum(WATCHES, timedelta(0))
    assert stored(lake) < two
    assert content(lake, spark) == [row(2)]


class Killed(BaseException):
    """The process ended here."""


def kill(*_: object) -> list[Finding]:
    raise Killed


def test_a_publish_killed_before_its_commit_is_never_seen(
    lake: Lake, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(lake, frame(spark, [row(1)]))
    with pytest.raises(Killed):
        lake.publish(frame(spark, [row(2)]), WATCHES, [MONDAY], validate=kill, job="j", seconds=lambda: 0.0, reads={})
    with monkeypatch.context() as patched:
        patched.setattr(Lake, "_commit", kill)
        with pytest.raises(Killed):
            publish(lake, frame(spark, [row(3)]))
    assert content(lake, spark) == [row(1)]
    assert lake.read_arrow(WATCHES, [MONDAY], ["user_id"]).to_pydict() == {"user_id": [1]}
    publish(lake, frame(spark, [row(3)]))
    assert content(lake, spark) == [row(3)]


def test_vacuum_sweeps_up_after_a_killed_publish(lake: Lake, spark: SparkSession) -> None:
    publish(lake, frame(spark, [row(1)]))
    served = stored(lake)
    with pytest.raises(Killed):
        lake.publish(frame(spark, [row(2)]), WATCHES, [MONDAY], validate=kill, job="j", seconds=lambda: 0.0, reads={})
    assert stored(lake) > served
    lake.vacuum(WATCHES, timedelta(0))
    assert stored(lake) == served


def test_an_absent_day_is_told_with_the_days_there_are(lake: Lake, spark: SparkSession) -> None:
    publish(lake, frame(spark, [row(1), row(1, day=TUESDAY)]), [MONDAY, TUESDAY])
    for read in (lambda: lake.read(spark, WATCHES, [WEDNESDAY]), lambda: lake.read_arrow(WATCHES, [WEDNESDAY])):
        with pytest.raises(MissingDataError) as caught:
            read()
        assert "2026-01-07" in caught.value.what
        assert "2026-01-05 to 2026-01-06" in caught.value.choices[0]


def test_a_table_that_may_be_empty_is_published_and_read_empty(lake: Lake, spark: SparkSession) -> None:
    assert lake.read(spark, SPARSE, [MONDAY]).isEmpty()
    first = publish(lake, frame(spark, []), table=SPARSE)
    assert first.days["2026-01-05"].rows == 0
    assert publish(lake, frame(spark, []), table=SPARSE) == first
    assert lake.read(spark, SPARSE, [MONDAY]).isEmpty()
    assert lake.read_arrow(SPARSE, [MONDAY]).num_rows == 0
    publish(lake, frame(spark, [row(1)]), table=SPARSE)
    publish(lake, frame(spark, []), table=SPARSE)
    assert lake.read(spark, SPARSE, [MONDAY]).isEmpty()
