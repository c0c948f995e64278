"""What training and scoring read to make vectors: the same tables, the same rule for a snapshot that is late."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from core.job import JobContext, log
from core.tables.follows import TABLE as FOLLOWS
from core.tables.machine_factors import TABLE as MACHINE_FACTORS
from core.tables.users import TABLE as USERS
from core.tables.videos import TABLE as VIDEOS
from features.catalog import all_groups
from features.freshness import newest_usable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from features.point_in_time import Knowledge

TABLES = (USERS, VIDEOS, FOLLOWS, MACHINE_FACTORS, *[group.snapshot for group in all_groups().values()])

LARGE = 2_000_000
"""Rows from which on a snapshot is worth narrowing to the entities asked for."""


def knowledge(ctx: JobContext, days: Sequence[date]) -> tuple[Knowledge, list[str]]:
    """Returns what was known at the end of each of `days`, and the names of tables that are late for any of them.

    Where a table has no rows of a day, its newest that are not older than its max age stand for them; where there are
    none either, it knows of no one that day.
    """
    from features.point_in_time import Knowledge

    read: dict[str, DataFrame] = {}
    late: list[str] = []
    rows: dict[str, int] = {}
    for table in TABLES:
        used = newest_usable(ctx.days_of(table), days, table.fresh_for_hours)
        if any(used.get(day) != day for day in days):
            late.append(table.name)
            log.warning("%s: its rows of %s", table.name, _told(used, days))
        rows[table.name] = sum(part.rows for part in ctx.lake.partitions(table, used.values()).values())
        read[table.name] = _relabelled(ctx.read(table, sorted(set(used.values()))), used)
    groups = all_groups().values()
    snapshots = {group.name: read[group.snapshot.name] for group in groups}
    large = frozenset(group.name for group in groups if rows[group.snapshot.name] >= LARGE)
    users, videos, follows, factors = (read[each.name] for each in (USERS, VIDEOS, FOLLOWS, MACHINE_FACTORS))
    return Knowledge(snapshots, users, videos, follows, large, factors), late


def snapshot_version(ctx: JobContext, day: date) -> str:
    """Returns the name of what `knowledge` makes of `day`: the day, and a hash of the content of every table it reads.

    Of content, not of table versions: a snapshot that is published again with the same rows keeps its name. Which
    versions those were stands in the commit of the table that was written with it (`reelfeed tables NAME`).
    """
    told = []
    for table in TABLES:
        used = newest_usable(ctx.days_of(table), [day], table.fresh_for_hours).get(day)
        there = ctx.lake.partitions(table, [used], ctx.reads.get(table.name)) if used else {}
        told.append([table.name, *[(each, part.rows, part.hash) for each, part in there.items()]])
    return f"{day}-{hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]}"


def feed_rows(asked: DataFrame, videos: DataFrame, surface: int) -> DataFrame:
    """Returns `asked`, pairs of user_id and video_id of night `ds`, as the rows that features.point_in_time takes.

    A feed is shown on `surface` the day after its night. Other columns of `asked` are kept.
    """
    from pyspark.sql import functions as F

    from features.point_in_time import UPLOAD_COLUMNS

    about = videos.select("video_id", "author_id", "tag_id", "duration_ms", *UPLOAD_COLUMNS)
    rows = asked.withColumnRenamed("ds", "snapshot_ds").join(F.broadcast(about), on="video_id", how="inner")
    return rows.withColumns({"surface": F.lit(surface), "shown_on": F.date_add("snapshot_ds", 1)})


def _relabelled(snapshot: DataFrame, used: Mapping[date, date]) -> DataFrame:
    """Returns `snapshot` with the days it stands for as `ds`."""
    from pyspark.sql import functions as F

    if all(day == stands_for for day, stands_for in used.items()):
        return snapshot
    pairs = [(day, stands_for) for stands_for, day in used.items()]
    days = snapshot.sparkSession.createDataFrame(pairs, "ds date, wanted date")
    return snapshot.join(F.broadcast(days), on="ds", how="inner").drop("ds").withColumnRenamed("wanted", "ds")


def _told(used: Mapping[date, date], days: Sequence[date]) -> str:
    odd = [day for day in days if used.get(day) != day]
    said = [f"{day} {f'are those of {used[day]}' if day in used else 'are missing'}" for day in odd[:3]]
    return "; ".join(said) + (f"; and {len(odd) - 3} days more" if len(odd) > 3 else "")
