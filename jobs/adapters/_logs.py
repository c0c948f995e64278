"""What an adapter is: raw logs of one format in, the frames that `ingest_events` takes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from core.table import Column
from core.tables.impressions import TABLE as IMPRESSIONS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FROM_VIDEOS = ("author_id", "tag_id")

FAULTS = Column("faults", "array<string>", "Parse faults of the row, as COLUMN_not_a_number; empty for a readable row.")

RAW_IMPRESSIONS = (*[column for column in IMPRESSIONS.all_columns if column.name not in FROM_VIDEOS], FAULTS)
"""Columns of raw impressions: those of table impressions, any of them null in a broken row, but for what ingest looks
up in table videos; `ds` is the day the row arrived; then the parse faults."""


@dataclass(frozen=True)
class Logs:
    """Raw logs of some days, each frame with a `ds` column.

    `impressions` has the columns RAW_IMPRESSIONS, duplicates and broken rows included. `users`, `videos`,
    `follows` and `blocked_authors` have the columns of the tables of that name, one whole copy for each day.
    """

    impressions: DataFrame
    users: DataFrame
    videos: DataFrame
    follows: DataFrame
    blocked_authors: DataFrame


@dataclass(frozen=True)
class Adapter:
    """One format of logs.

    `days(logs_dir)` lists the days there are, in order. `read(spark, logs_dir, days)` returns their logs. Both raise
    MissingDataError for an absent folder, file or day, ContractError for a file with other columns than its format's.
    `read_until(spark, logs_dir, day, hour)` returns, and raises, the same of a day in progress: what was there when
    `hour`, 1 to 24, began. It is None where the format has whole days only.
    """

    name: str
    doc: str
    days: Callable[[str], list[date]]
    read: Callable[[SparkSession, str, Sequence[date]], Logs]
    read_until: Callable[[SparkSession, str, date, int], Logs] | None = None


def replayed(
    read: Callable[[SparkSession, str, Sequence[date]], Logs],
) -> Callable[[SparkSession, str, date, int], Logs]:
    """Returns the `read_until` of a format whose files hold whole days: `read`, as the day would have gone.

    An impression of the day arrives as it is shown; one of an earlier day is left to the night. A video uploaded on the
    day is known once someone was shown it, since no log tells the hour. Users, follows, blocks and whether a video may
    be shown are as at the day's end.
    """

    def read_until(spark: SparkSession, logs_dir: str, day: date, hour: int) -> Logs:
        from pyspark.sql import functions as F

        logs = read(spark, logs_dir, [day])
        arrived = logs.impressions.where((F.col("shown_on") == day) & (F.col("shown_hour") < hour))
        shown = arrived.select("video_id", F.lit(True).alias("is_shown")).distinct()
        known = logs.videos.join(shown, on="video_id", how="left")
        known = known.where(F.col("is_shown") | F.col("uploaded_on").isNull() | (F.col("uploaded_on") < day))
        return replace(logs, impressions=arrived, videos=known.select(*logs.videos.columns))

    return read_until
