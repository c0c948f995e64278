"""Impressions to daily tiles, tiles to windowed snapshots.

Two clocks cut what a snapshot sees: `ds`, the day a row arrived, and `event_on`, the day it happened. The snapshot
of day D sums tiles that had arrived by D and happened in the window that ends with D.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from features.group import FeatureGroup, window_column

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def tiles(impressions: DataFrame, group: FeatureGroup) -> DataFrame:
    """Returns the tiles of `group`: one row per entity, day of event and `ds` of `impressions`, measures summed."""
    from pyspark.sql import functions as F

    known = impressions.dropna(subset=list(group.entity)) if group.entity else impressions
    sums = [F.sum(F.expr(f"cast({measure.sql} as bigint)")).alias(measure.name) for measure in group.measures]
    summed = known.groupBy(*group.entity, F.col("shown_on").alias("event_on"), "ds").agg(*sums)
    return summed.select(*group.tiles.column_names)


def snapshots(tiles: DataFrame, group: FeatureGroup, days: Sequence[date]) -> DataFrame:
    """Returns the snapshots of `group` at the end of each of `days`: one row per entity and day, sums per window.

    `tiles` holds all that arrived in the longest window before the first day and until the last.
    """
    from pyspark.sql import functions as F

    longest = max(group.windows)
    every_day = F.array(*[F.lit(day) for day in days])
    seen_from = F.filter(every_day, lambda day: (day >= F.col("ds")) & (F.col("event_on") > F.date_sub(day, longest)))
    dated = tiles.withColumn("snapshot_ds", F.explode(seen_from))
    sums = []
    for measure in group.measures:
        for window in group.windows:
            inside = F.col("event_on") > F.date_sub("snapshot_ds", window)
            total = F.sum(F.when(inside, F.col(measure.name)).otherwise(F.lit(0)))
            sums.append(total.alias(window_column(measure.name, window)))
    summed = dated.groupBy(*group.entity, F.col("snapshot_ds")).agg(*sums)
    return summed.withColumnRenamed("snapshot_ds", "ds").select(*group.snapshot.column_names)
