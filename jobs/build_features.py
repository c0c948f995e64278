"""Adds the day's tiles to every feature group and makes its snapshot: what is known of everyone at the day's end."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import TYPE_CHECKING

from core.job import Job, JobContext, log
from core.tables.feature_priors import TABLE as FEATURE_PRIORS
from core.tables.follows import TABLE as FOLLOWS
from core.tables.impressions import TABLE as IMPRESSIONS
from features.catalog import all_groups, generations
from features.group import FeatureGroup
from features.running import can_carry

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
    standing = carried(ctx, group)

    def sums(sample: bool) -> DataFrame:
        of = window if standing is None else standing
        of = shrinkage.sampled(of, group) if sample else of
        summed = tiles.window_sums(of, group, ctx.days) if standing is None else of
        return shrinkage.expected(summed, group, parent, above)

    # Summing twice, once over few pairs, is quicker than keeping the sums of all.
    priors = shrinkage.estimate(sums(sample=True), group, ctx.days)
    ctx.publish(group.snapshot, shrinkage.shrunk(sums(sample=False), group, priors), grouped=True)
    return priors


def carried(ctx: JobContext, group: FeatureGroup) -> DataFrame | None:
    """Publishes and returns the windowed sums of `group`, made of those of the eve; None where that does not pay.

    Where there are none of the eve, or tiles they were made of have changed since, they are made anew.
    """
    from features import running

    if len(ctx.days) > 1 or not can_carry(group):
        return None
    eve, first = ctx.ds - timedelta(days=1), ctx.ds - timedelta(days=group.longest)
    behind = [first + timedelta(days=i) for i in range(group.longest)]
    there = ctx.lake.partitions(group.tiles, [*behind, ctx.ds])
    if sum(part.rows for part in there.values()) < ctx.settings.carry_from_tiles:
        return None
    there.pop(str(ctx.ds), None)
    made = next((publish for publish in ctx.lake.history(group.sums) if str(eve) in publish.days), None)
    stands = made and ctx.lake.partitions(group.tiles, behind, made.reads.get(group.tiles.name, -1)) == there
    files = running.by_bucket(ctx.lake.files(group.sums, [eve])) if stands else {}
    tiles = ctx.read_back(group.tiles, group.longest)
    changed = (running.changes if files else running.everything)(tiles, group, ctx.ds)
    log.info("%s: %s", group.sums.name, f"carried on from {eve}" if files else "made anew from all tiles")
    ctx.publish_files(group.sums, lambda target: running.write(changed, group, ctx.ds, files, target))
    return ctx.read_back(group.sums, 0)


JOB = Job(
    name="build_features",
    doc=__doc__,
    owner="feed-ranking",
    reads=(IMPRESSIONS, FOLLOWS),
    writes=(*[table for group in all_groups().values() for table in (group.tiles, group.snapshot)], FEATURE_PRIORS),
    run=run,
    spans=True,
    keeps=tuple(group.sums for group in all_groups().values() if can_carry(group)),
)
