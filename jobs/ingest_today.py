"""Takes in what has arrived of the day in progress, up to an hour: for feeds made anew, and no model learns of it."""

from __future__ import annotations

from core.errors import UsageError
from core.job import Job, JobContext
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.todays_impressions import TABLE as TODAYS_IMPRESSIONS
from core.tables.todays_impressions import UNTIL
from core.tables.todays_videos import TABLE as TODAYS_VIDEOS
from jobs._today import arrived_until, hour_of
from jobs.ingest_events import adapters, judge, refuse_broken_logs


def run(ctx: JobContext) -> None:
    """Publishes the impressions of `ctx.ds` that had arrived when the hour began, and the videos then known.

    Broken rows are left to the night, which quarantines them. Raises UsageError without an hour, for an hour before
    that which stands, since what users were shown between would be forgotten, and for a format of whole days;
    ContractError where nothing had arrived or too much is broken; and what the adapter raises.
    """
    from pyspark.sql import functions as F

    hour, there = hour_of(ctx), arrived_until(ctx)
    every = adapters()
    read_until = every[ctx.logs].read_until
    if read_until is None:
        raise UsageError(
            f"logs of {ctx.logs} come by whole days: there is nothing to read before a day is over",
            where=f"jobs/adapters/{ctx.logs}.py",
            choices=[name for name, adapter in every.items() if adapter.read_until],
            next_step="leave DAG hourly_refresh paused: the night's feeds are served",
        )
    if hour < there:
        raise UsageError(
            f"what arrived of {ctx.ds} until hour {there} is here already: until {hour} would be less",
            where="table todays_impressions",
            next_step=f"ask for hour {there} or later",
        )
    logs = read_until(ctx.spark, ctx.logs_dir, ctx.ds, hour)
    judged = judge(logs.impressions, logs.videos).cache()
    refuse_broken_logs(judged)
    ctx.publish(TODAYS_VIDEOS, logs.videos)
    # Last, since its hour vouches for both tables.
    good = judged.where(F.size("reasons") == 0).select(*IMPRESSIONS.column_names)
    ctx.publish(TODAYS_IMPRESSIONS, good.withColumn(UNTIL.name, F.lit(hour)).select(*TODAYS_IMPRESSIONS.column_names))
    judged.unpersist()


JOB = Job(
    name="ingest_today",
    doc=__doc__,
    owner="feed-data",
    reads=(TODAYS_IMPRESSIONS,),
    writes=(TODAYS_IMPRESSIONS, TODAYS_VIDEOS),
    run=run,
    timeout_minutes=20,
)
