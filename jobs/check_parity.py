"""Makes the features of the last night's feeds, and of those refreshed since, once more, as training would, and counts
those that differ."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING

from core.job import Job, JobContext
from core.table import Table
from core.tables.feeds import TABLE as FEEDS
from core.tables.parity import TABLE as PARITY
from core.tables.refreshed_feeds import TABLE as REFRESHED_FEEDS
from core.tables.scored_candidates import TABLE as SCORED_CANDIDATES
from core.tables.videos import TABLE as VIDEOS
from features.fingerprint import fingerprints, matrix
from jobs import _knowledge

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame

    from features.point_in_time import Knowledge


def run(ctx: JobContext) -> None:
    """Publishes table parity for `ctx.ds`: a row for the last night's feeds, one for those made anew on the day after.

    No row where there are none of the recipe. Features are those of the night for both; videos are those of the night
    and, for feeds made anew, which may show what was uploaded since, of the day itself.
    """
    from core.lake import spark_schema

    before = [day for day in ctx.days_of(FEEDS) if day < ctx.ds]
    rows = list[dict[str, object]]()
    if before:
        night = before[-1]
        feeds = {FEEDS: night}
        if ctx.ds - night == timedelta(days=1) and ctx.ds in ctx.days_of(REFRESHED_FEEDS):
            feeds[REFRESHED_FEEDS] = ctx.ds
        known, _ = _knowledge.knowledge(ctx, [night])
        of_all = {"recipe": ctx.recipe.name, "feed_ds": night, "changed": _changed(ctx, night), "ds": ctx.ds}
        rows = [of_all | _compared(ctx, night, known, of, day) for of, day in feeds.items()]
    ctx.publish(PARITY, ctx.spark.createDataFrame(rows, spark_schema(PARITY)))


def _compared(ctx: JobContext, night: date, known: Knowledge, of: Table, day: date) -> dict[str, object]:
    """Returns of the feeds in table `of` of `day`, scored with what was `known` at `night`, how many rows differ."""
    from pyspark.sql import functions as F

    from features.point_in_time import vectors

    feeds = ctx.read(of, [day]).where("features_hash is not null")
    own = feeds.where(F.col("recipe") == ctx.recipe.name)
    served = own.select("user_id", "video_id", "features_hash", F.lit(night).alias("ds"))
    rows = _knowledge.feed_rows(served, ctx.read(VIDEOS, [day]), ctx.recipe.surface).cache()
    found = differing(vectors(rows, known)).groupBy().sum("rows", "same").first()
    rows.unpersist()
    total, same = served.count(), (found[1] or 0) if found else 0
    return {
        "table": of.name,
        "rows": total,
        "mismatched": total - same,
        "mismatch_rate": (total - same) / total if total else 0.0,
    }


def differing(rebuilt: DataFrame) -> DataFrame:
    """Returns for each batch of `rebuilt` its `rows`, and those whose `features` have their `features_hash`: `same`."""

    def compare(batches: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        import numpy as np
        import pyarrow as pa

        for batch in batches:
            if not batch.num_rows:
                continue
            wide = matrix(batch)
            same = int(np.sum(fingerprints(wide) == batch.column("features_hash").to_numpy(zero_copy_only=False)))
            yield pa.RecordBatch.from_arrays([pa.array([batch.num_rows]), pa.array([same])], names=["rows", "same"])

    return rebuilt.select("features", "features_hash").mapInArrow(compare, "rows bigint, same bigint")


def _changed(ctx: JobContext, day: date) -> list[str]:
    """Returns the tables whose content for `day` differs from what the feed's candidates were scored with."""
    scored = next((publish for publish in ctx.lake.history(SCORED_CANDIDATES) if str(day) in publish.days), None)
    if scored is None:
        return []
    found = []
    for table in _knowledge.TABLES:
        if ctx.lake.partitions(table, [day]) != ctx.lake.partitions(table, [day], scored.reads.get(table.name, -1)):
            found.append(table.name)
    return sorted(found)


JOB = Job(
    name="check_parity",
    doc=__doc__,
    owner="feed-ranking",
    reads=(FEEDS, REFRESHED_FEEDS, SCORED_CANDIDATES, *_knowledge.TABLES),
    writes=(PARITY,),
    run=run,
)
