"""What training and scoring read to make vectors: the same tables, the same rule for a snapshot that is late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from core.job import JobContext, log
from core.tables.follows import TABLE as FOLLOWS
from core.tables.users import TABLE as USERS
from core.tables.videos import TABLE as VIDEOS
from features.catalog import all_groups
from features.freshness import newest_usable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from features.point_in_time import Knowledge

TABLES = (USERS, VIDEOS, FOLLOWS, *[group.snapshot for group in all_groups().values()])


def knowledge(ctx: JobContext, days: Sequence[date]) -> tuple[Knowledge, list[str]]:
    """Returns what was known at the end of each of `days`, and the names of groups that are late for any of them.

    Where a group has no snapshot of a day, its newest that is not older than its max age stands for it; where there is
    none either, the group knows of no one that day.
    """
    from features.point_in_time import Knowledge

    snapshots, late = {}, []
    for group in all_groups().values():
        used = newest_usable(ctx.days_of(group.snapshot), days, group.max_age_hours)
        if any(used.get(day) != day for day in days):
            late.append(group.name)
            log.warning("%s: its snapshots of %s", group.name, _told(used, days))
        if used:
            snapshots[group.name] = _relabelled(ctx.read(group.snapshot, sorted(set(used.values()))), used)
    users, videos, follows = (
        ctx.read(table, [day for day in ctx.days_of(table) if day in set(days)]) for table in (USERS, VIDEOS, FOLLOWS)
    )
    return Knowledge(snapshots, users, videos, follows), late


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
