"""Session columns look at strictly earlier impressions of the same session, and at nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from features.session import GAP_MINUTES, NEUTRAL, RECENT, with_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
Row = tuple[int, int, datetime, int | None, int, bool]


def made(seed: int, rows: int = 120) -> list[Row]:
    """Impressions of three users, a minute to an hour apart, some at the same moment."""
    generator = np.random.default_rng(seed)
    now, found = dict.fromkeys(range(3), START), []
    for video in range(rows):
        user = int(generator.integers(0, 3))
        now[user] += timedelta(minutes=int(generator.choice([0, 1, 5, GAP_MINUTES, GAP_MINUTES + 1])))
        watch = int(generator.choice([1_000, 2_000, 9_000]))
        tag = None if generator.random() < 0.1 else int(generator.integers(0, 3))
        found.append((user, video, now[user], tag, watch, bool(generator.random() < 0.3)))
    return found


def columns(spark: SparkSession, rows: list[Row]) -> dict[int, dict[str, Any]]:
    ddl = "user_id bigint, video_id bigint, shown_at timestamp, tag_id int, watch_ms bigint, is_long_view boolean"
    found = with_session(spark.createDataFrame(rows, ddl).repartition(3)).collect()
    return {row["video_id"]: {name: row[name] for name in NEUTRAL} for row in found}


def by_hand(rows: list[Row], row: Row) -> dict[str, Any]:
    """The columns of `row`, written from their descriptions."""
    gap = timedelta(minutes=GAP_MINUTES)
    mine = sorted((other for other in rows if other[0] == row[0]), key=lambda other: (other[2], other[1]))
    times = sorted({other[2] for other in mine})
    begins = [at for i, at in enumerate(times) if i == 0 or at - times[i - 1] > gap]
    began = max(at for at in begins if at <= row[2])
    earlier = [other for other in mine if began <= other[2] < row[2]]
    before = [at for at in times if at < began]
    around = [other for other in mine if other[2] >= began and (other[2], other[1]) < (row[2], row[1])]
    latest = [other for other in around[-RECENT:] if other[2] < row[2]]
    return {
        "session_position": len(earlier) + 1,
        "session_pause": (row[2] - earlier[-1][2]).total_seconds() if earlier else None,
        "session_break": (began - before[-1]).total_seconds() if before else None,
        "session_same_tag": sum(other[3] == row[3] and row[3] is not None for other in latest),
        "session_skips": sum(other[4] < 3_000 and not other[5] for other in latest),
        "session_long_views": sum(other[5] for other in latest),
    }


def test_columns_are_what_their_descriptions_say(spark: SparkSession) -> None:
    rows = made(1)
    found = columns(spark, rows)
    assert len(found) == len(rows)
    assert found == {row[1]: by_hand(rows, row) for row in rows}


def test_what_happens_later_changes_nothing(spark: SparkSession) -> None:
    rows = made(2)
    until = sorted(row[2] for row in rows)[60]
    poisoned = [row if row[2] < until else (*row[:3], 0, 100, True) for row in rows]
    assert poisoned != rows
    seen, again = columns(spark, rows), columns(spark, poisoned)
    assert all(seen[row[1]] == again[row[1]] for row in rows if row[2] < until)
