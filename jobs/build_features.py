"""Adds the day's tiles to every feature group and makes its snapshot: what is known of everyone at the day's end."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import TYPE_CHECKING

from core.job import Job, JobContext
from core.tables.feature_priors import TABLE as FEATURE_PRIORS
from core.tables.follows import TABLE as FOLLOWS
from core.tables.impressions import TABLE as IMPRESSIONS
from features.catalog import all_groups, generations
from features.group import FeatureGroup

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from features.shrinkage import Prior

    Priors = Mapping[date, Mapping[str, Prior]]

AT_ONCE = 3
"""Groups built side by side: most of a small group's time is waiting, not computing."""


def run(ctx: JobContext) -> None:
    """Publishes tiles and snapshots of every group for the days of `ctx`, and how the rates were shrunk."""
    from core.lake import spark_schema
    from features.tiles import derived

    impressions = derived(ctx.read(IMPRESSIONS), ctx.read(FOLLOWS)).cache()
    priors = dict[str, "Priors"]()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for generation in generations():
            made = pool.map(lambda group: _build(ctx, group, impressions), generation)
            priors |= dict(zip([group.name for group in generation], made, strict=True))
    impressions.unpersist()
    rows = [
        (f"{group}__{column}", p.strength, p.estimated, p.entities, p.within, p.between, day)
        for group, by_day in priors.items()
        for day, by_column in by_day.items()
        for column, p in by_column.items()
    ]
    ctx.publish(FEATURE_PRIORS, ctx.spark.createDataFrame(rows, spark_schema(FEATURE_PRIORS)))


def _build(ctx: JobContext, group: FeatureGroup, impressions: DataFrame) -> Priors:
    """Publishes tiles and snapshots of one group and returns how its rates were shrunk."""
    from features import shrinkage, tiles

    ctx.publish(group.tiles, tiles.tiles(impressions, group), grouped=True)
    # Tiles of late rows stand in the partition of their arrival, so the window's partitions hold all it needs.
    window = ctx.read_back(group.tiles, group.longest - 1)
    parent = all_groups()[group.parent] if group.parent else None
    above = ctx.read_back(parent.snapshot, 0) if parent else None

    def sums(of: DataFrame) -> DataFrame:
        return shrinkage.expected(tiles.window_sums(of, group, ctx.days), group, parent, above)

    # Summing twice, once over few pairs, is quicker than keeping the sums of all.
    priors = shrinkage.estimate(sums(shrinkage.sampled(window, group)), group, ctx.days)
    ctx.publish(group.snapshot, shrinkage.shrunk(sums(window), group, priors), grouped=True)
    return priors


JOB = Job(
    name="build_features",
    doc=__doc__,
    owner="feed-ranking",
    reads=(IMPRESSIONS, FOLLOWS),
    writes=(*[table for group in all_groups().values() for table in (group.tiles, group.snapshot)], FEATURE_PRIORS),
    run=run,
    spans=True,
)
