"""Reads a day of raw logs, refuses broken rows with their reasons, drops duplicates, and publishes the facts."""

from __future__ import annotations

import importlib
from datetime import timedelta
from typing import TYPE_CHECKING

from core.contract import BadRow
from core.errors import ContractError
from core.job import Job, JobContext, log
from core.registry import declarations
from core.tables.blocked_authors import TABLE as BLOCKED_AUTHORS
from core.tables.follows import TABLE as FOLLOWS
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.quarantined_impressions import TABLE as QUARANTINED
from core.tables.users import TABLE as USERS
from core.tables.videos import TABLE as VIDEOS
from jobs.adapters._logs import Adapter

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

LATEST_DAYS = 7
MOST_QUARANTINED = 0.05
"""Share of a run's distinct rows that may be refused; beyond it the logs themselves are taken to be broken."""

MORE_REASONS = (
    BadRow("video_unknown", "video_id is not null and author_id is null"),
    BadRow("shown_after_arrival", "shown_on > ds"),
    BadRow("too_late", f"shown_on < date_sub(ds, {LATEST_DAYS})"),
)


def adapters() -> dict[str, Adapter]:
    """Returns every log adapter by name: the files of jobs/adapters/."""
    return declarations(importlib.import_module("jobs.adapters"), "ADAPTER")


def run(ctx: JobContext) -> None:
    """Publishes the six tables of facts for the days of `ctx`.

    Raises ContractError where more than MOST_QUARANTINED of the rows are refused, and what the adapter raises.
    """
    from pyspark.sql import functions as F

    logs = adapters()[ctx.logs].read(ctx.spark, ctx.logs_dir, ctx.days)
    ctx.publish(USERS, logs.users)
    ctx.publish(VIDEOS, logs.videos)
    ctx.publish(FOLLOWS, logs.follows)
    ctx.publish(BLOCKED_AUTHORS, logs.blocked_authors)
    judged = judge(logs.impressions, logs.videos).cache()
    refuse_broken_logs(judged)
    ctx.publish(QUARANTINED, quarantined(judged))
    good = judged.where(F.size("reasons") == 0).select(*IMPRESSIONS.column_names)
    first = ctx.days[0]
    before = [day for day in ctx.days_of(IMPRESSIONS) if first - timedelta(days=LATEST_DAYS) <= day < first]
    ctx.publish(IMPRESSIONS, arrived_first(good, ctx.read(IMPRESSIONS, before) if before else None))
    judged.unpersist()


def judge(raw: DataFrame, videos: DataFrame) -> DataFrame:
    """Returns one row per distinct impression and day of arrival, with `reasons` and `copies`.

    `raw` has the columns RAW_IMPRESSIONS. Rows that agree on the key are the same impression; of copies that differ
    elsewhere the one with the longest watch stays. `reasons` is empty for a good row.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    from core.contract import reasons

    about = videos.select("ds", "video_id", "author_id", "tag_id", F.col("duration_ms").alias("known_duration_ms"))
    looked_up = (
        raw.join(about, on=["ds", "video_id"], how="left")
        .withColumn("duration_ms", F.coalesce("duration_ms", "known_duration_ms"))
        .withColumn("reasons", F.array_union("faults", reasons(IMPRESSIONS, MORE_REASONS)))
    )
    content = [name for name in IMPRESSIONS.column_names if name not in (*IMPRESSIONS.key, "ds")]
    same = Window.partitionBy("ds", *IMPRESSIONS.key)
    first = same.orderBy(F.size("reasons"), F.desc("watch_ms"), F.xxhash64(*content))
    return (
        looked_up.withColumn("copies", F.count(F.lit(1)).over(same))
        .withColumn("copy", F.row_number().over(first))
        .where("copy = 1")
        .select(*IMPRESSIONS.column_names, "reasons", "copies")
    )


def arrived_first(good: DataFrame, before: DataFrame | None) -> DataFrame:
    """Returns the rows of `good` whose impression arrived on no earlier day, neither in `good` nor in `before`.

    `before` holds what was published for the days that a late copy may still follow.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    arrivals = Window.partitionBy(*IMPRESSIONS.key).orderBy("ds")
    first = good.withColumn("arrival", F.row_number().over(arrivals)).where("arrival = 1").drop("arrival")
    return first if before is None else first.join(before, on=list(IMPRESSIONS.key), how="left_anti")


def quarantined(judged: DataFrame) -> DataFrame:
    """Returns the refused rows of `judged` in the shape of table quarantined_impressions."""
    from pyspark.sql import functions as F

    as_json = F.to_json(F.struct(*[name for name in IMPRESSIONS.column_names if name != "ds"]))
    refused = judged.where(F.size("reasons") > 0).select(as_json.alias("row"), "reasons", "copies", "ds")
    return refused.groupBy("row", "ds").agg(
        F.array_sort(F.array_distinct(F.flatten(F.collect_list("reasons")))).alias("reasons"),
        F.sum("copies").alias("copies"),
    )


def refuse_broken_logs(judged: DataFrame) -> None:
    """Raises ContractError where more than MOST_QUARANTINED of the rows that `judge` returned are refused."""
    from pyspark.sql import functions as F

    bad = F.count_if(F.size("reasons") > 0)
    (counts,) = judged.agg(F.count(F.lit(1)).alias("rows"), bad.alias("bad")).collect()
    if counts["bad"] <= MOST_QUARANTINED * counts["rows"]:
        return
    why = (
        judged.select(F.explode("reasons").alias("reason")).groupBy("reason").count().orderBy(F.desc("count"), "reason")
    )
    listed = [f"{row['reason']} ({row['count']:,})" for row in why.limit(5).collect()]
    log.error("quarantine: %s of %s rows", counts["bad"], counts["rows"])
    raise ContractError(
        f"{counts['bad']:,} of {counts['rows']:,} impressions are broken, more than {MOST_QUARANTINED:.0%}: "
        + ", ".join(listed),
        where="the raw logs; nothing was published of them",
        next_step="mend or re-fetch the logs, then run this job again",
    )


JOB = Job(
    name="ingest_events",
    doc=__doc__,
    owner="feed-data",
    reads=(IMPRESSIONS,),
    writes=(IMPRESSIONS, QUARANTINED, USERS, VIDEOS, FOLLOWS, BLOCKED_AUTHORS),
    run=run,
    spans=True,
)
