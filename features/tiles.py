"""Impressions to daily tiles, tiles to windowed sums.

Two clocks cut what a snapshot sees: `ds`, the day a row arrived, and `event_on`, the day it happened. The snapshot
of day D sums tiles that had arrived by D and happened in the window that ends with D.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from features.duration_buckets import DURATION_BUCKET, DURATION_BUCKET_SQL
from features.group import FeatureGroup, column_name

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

AGE = "datediff(ds_seen, event_on)"


def derived(impressions: DataFrame, follows: DataFrame) -> DataFrame:
    """Returns `impressions` with the derived entities and `viewer_follows`, as of the day each row arrived."""
    from pyspark.sql import functions as F

    edges = follows.select("user_id", "author_id", "ds", F.lit(True).alias("viewer_follows"))
    return (
        impressions.withColumn(DURATION_BUCKET.name, F.expr(DURATION_BUCKET_SQL))
        .join(edges, on=["user_id", "author_id", "ds"], how="left")
        .withColumn("viewer_follows", F.coalesce("viewer_follows", F.lit(False)))
    )


def measured(impressions: DataFrame, group: FeatureGroup) -> DataFrame:
    """Returns the rows of derived `impressions` that `group` is about, with its measures: tiles not yet summed."""
    from pyspark.sql import functions as F

    known = impressions.dropna(subset=list(group.entity)) if group.entity else impressions
    if group.where:
        known = known.where(group.where)
    amounts = [F.expr(f"cast({measure.sql} as bigint)").alias(measure.name) for measure in group.measures]
    return known.select(*group.entity, F.col("shown_on").alias("event_on"), *amounts, "ds")


def tiles(impressions: DataFrame, group: FeatureGroup) -> DataFrame:
    """Returns the tiles of `group`: one row per entity, day of event and `ds` of derived `impressions`, summed."""
    from pyspark.sql import functions as F

    sums = [F.sum(measure.name).alias(measure.name) for measure in group.measures]
    summed = measured(impressions, group).groupBy(*group.entity, "event_on", "ds").agg(*sums)
    # Late rows together: whoever asks for a day of event passes over the pages that do not hold it.
    return summed.select(*group.tiles.column_names).sortWithinPartitions("event_on")


def window_sums(tiles: DataFrame, group: FeatureGroup, days: Sequence[date]) -> DataFrame:
    """Returns the sums of `group` at the end of each of `days`: entity, `ds`, and MEASURE_WINDOW in units of Window.

    One row per day and entity seen in the longest window. `tiles` holds all that arrived in the longest window before
    the first day and until the last.
    """
    from pyspark.sql import functions as F

    # A tile is seen from the day it arrived on until its event leaves the longest window.
    every_day = F.array(*[F.lit(day) for day in days])
    seen_on = F.filter(
        every_day, lambda day: (day >= F.col("ds")) & (F.col("event_on") > F.date_sub(day, group.longest))
    )
    seen = tiles.withColumn("ds_seen", F.explode(seen_on)).drop("ds").withColumn("age", F.expr(AGE))
    seen = seen.withColumns({f"weight_{window.name}": F.expr(window.weight_sql("age")) for window in group.windows})
    sums = [
        F.sum(F.col(measure.name) * F.col(f"weight_{window.name}")).alias(column_name(measure.name, window))
        for measure in group.measures
        for window in group.windows
    ]
    return seen.groupBy(*group.entity, F.col("ds_seen").alias("ds")).agg(*sums)
