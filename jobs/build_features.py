"""Adds the day's tiles to every feature group and sums their windows: what is known of everyone at its end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from core.job import Job, JobContext
from core.tables.impressions import TABLE as IMPRESSIONS
from features.catalog import all_groups
from features.group import FeatureGroup

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

AT_ONCE = 3
"""Groups built side by side: most of a small group's time is waiting, not computing."""


def run(ctx: JobContext) -> None:
    """Publishes tiles and snapshots of every group for the days of `ctx`."""
    impressions = ctx.read(IMPRESSIONS).cache()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(_build, ctx, group, impressions) for group in all_groups().values()]:
            done.result()
    impressions.unpersist()


def _build(ctx: JobContext, group: FeatureGroup, impressions: DataFrame) -> None:
    from features import tiles

    ctx.publish(group.tiles, tiles.tiles(impressions, group))
    # Tiles of late rows stand in the partition of their arrival, so the window's partitions hold all it needs.
    window = ctx.read_back(group.tiles, max(group.windows) - 1)
    ctx.publish(group.snapshot, tiles.snapshots(window, group, ctx.days))


JOB = Job(
    name="build_features",
    doc=__doc__,
    owner="feed-ranking",
    reads=(IMPRESSIONS,),
    writes=tuple(table for group in all_groups().values() for table in (group.tiles, group.snapshot)),
    run=run,
    spans=True,
)
