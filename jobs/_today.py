"""A day in progress: its hour, the night whose feeds it shows, and what has arrived of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta

from core.errors import ContractError, NothingToDoError, UsageError
from core.job import JobContext
from core.tables.feeds import TABLE as FEEDS
from core.tables.todays_impressions import TABLE as TODAYS_IMPRESSIONS
from core.tables.todays_impressions import UNTIL
from jobs._publications import Decision, ledger, to_serve

JOBS = ("ingest_today", "refresh_feeds", "export_refresh")
"""The jobs that a run for an hour may name."""

LAST_HOUR = 24
"""At which the day is over: all of it is known."""


def hour_of(ctx: JobContext) -> int:
    """Returns the hour of the day `ctx.ds` that the run is for; raises UsageError where it was not given one."""
    if not 1 <= ctx.hour <= LAST_HOUR:
        raise UsageError(
            f"job {ctx.job.name} needs an hour from 1 to {LAST_HOUR}, not {ctx.hour}",
            where="--hour, or the form of DAG hourly_refresh",
            next_step=f"reelfeed run {' '.join(JOBS)} --ds {ctx.ds} --hour H",
        )
    return ctx.hour


def begin_of(ctx: JobContext) -> str:
    """Returns when the run's hour begins, ISO 8601, the app's local time."""
    return (datetime.combine(ctx.ds, time()) + timedelta(hours=ctx.hour)).isoformat(timespec="minutes")


def night_before(ctx: JobContext) -> JobContext:
    """Returns the context of the night whose feeds are shown on `ctx.ds`: same job, hour and table versions."""
    return replace(ctx, days=(ctx.ds - timedelta(days=1),))


def arrived_until(ctx: JobContext) -> int:
    """Returns the hour that table todays_impressions of `ctx.ds` goes up to, 0 where it has none of that day."""
    if ctx.ds not in ctx.days_of(TODAYS_IMPRESSIONS):
        return 0
    return int(ctx.read_arrow(TODAYS_IMPRESSIONS, [UNTIL.name])[UNTIL.name][0].as_py())


def edition_to_refresh(night: JobContext) -> Decision:
    """Returns the decision that serves the feeds of `night`, which stand in table feeds as they were published.

    Raises MissingDataError where nothing was ever published, NothingToDoError where another night's feeds are served
    (the night was rolled back, or is late), ContractError where those of the night were made again since and the new
    ones are not served.
    """
    decision = to_serve(ledger(night.lake, night.recipe.name), night.recipe.name, night.ds)
    number, feeds_ds = decision["number"], decision["feeds_ds"]
    if feeds_ds != night.ds:
        raise NothingToDoError(
            f"not the feeds of {night.ds} are served but publication {number}, of {feeds_ds}: it stays as it is",
            where="table publications",
            next_step=f"reelfeed run publish_feeds export_feeds --ds {night.ds}; after a rollback, the next night",
        )
    if night.lake.partitions(FEEDS, [night.ds])[str(night.ds)].hash != decision["content_hash"]:
        raise ContractError(
            f"the feeds of {night.ds} were made again since publication {number}, which is served: it stays as it is",
            where="table feeds",
            next_step=f"reelfeed run publish_feeds export_feeds --ds {night.ds}",
        )
    return decision
