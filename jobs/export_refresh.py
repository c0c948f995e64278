"""Hands the feeds that were made anew today to the key-value store, beside the night's of the same edition."""

from __future__ import annotations

from core.errors import ContractError, MissingDataError
from core.job import Job, JobContext, alert, log
from core.store import StoreError, open_store
from core.tables.publications import TABLE as PUBLICATIONS
from core.tables.refreshed_feeds import TABLE as REFRESHED_FEEDS
from jobs._publications import Decision, ledger, to_serve
from jobs._today import JOBS, hour_of
from jobs.export_feeds import edition_of, written
from models.handoff import current, keep_refreshed


def run(ctx: JobContext) -> None:
    """Makes the store serve the feeds of hour `ctx.hour` of `ctx.ds` to their users, and to all others the night's.

    Raises UsageError without an hour; MissingDataError where they were not made, or the store does not serve the newest
    publication; ContractError where they stand in for feeds that are served no more; StoreError where the store does
    not answer: each user then has this hour's feed or the one before.
    """
    hour, decision = hour_of(ctx), to_serve(ledger(ctx.lake, ctx.recipe.name), ctx.recipe.name, ctx.ds)
    store, edition = open_store(ctx.settings.store), edition_of(ctx, decision)
    _check_made(ctx, hour, decision)
    try:
        if current(store, ctx.recipe.name) != edition:
            raise MissingDataError(
                f"the store does not serve publication {decision['number']} of {decision['feeds_ds']} yet",
                where="feed store",
                next_step=f"reelfeed run export_feeds --recipe {ctx.recipe.name} --ds {decision['ds']}",
            )
        rows = ctx.read(REFRESHED_FEEDS)
        of_hour = rows.where((rows["recipe"] == ctx.recipe.name) & (rows["hour"] == hour))
        users, parts = written(ctx, edition, of_hour, hour)
        keep_refreshed(store, edition, parts)
    except StoreError as error:
        alert.error("ALERT owner=%s feeds of hour %s are not all served: %s", JOB.owner, hour, error.what)
        raise
    log.info("export_refresh: %s feeds of hour %s are served with edition %s", f"{users:,}", hour, edition.version)


def _check_made(ctx: JobContext, hour: int, decision: Decision) -> None:
    """Raises MissingDataError where the day's last feeds are not of `hour`, ContractError where they stand in for
    others than those of `decision`."""
    import pyarrow.compute as pc

    newest, numbers = 0, set[int]()
    if ctx.ds in ctx.days_of(REFRESHED_FEEDS):
        rows = ctx.read_arrow(REFRESHED_FEEDS, ["recipe", "hour", "publication"])
        own = rows.filter(pc.field("recipe") == ctx.recipe.name)
        newest = pc.max(own["hour"]).as_py() or 0
        numbers = set(own.filter(pc.field("hour") == newest)["publication"].to_pylist())
    if newest != hour:
        last = f"last at hour {newest}" if newest else "at no hour"
        raise MissingDataError(
            f"feeds of {ctx.ds} were made anew {last}, and those of hour {hour} are asked for",
            where="table refreshed_feeds",
            next_step=f"reelfeed run {' '.join(JOBS)} --ds {ctx.ds} --hour {max(hour, newest)}",
        )
    if numbers != {decision["number"]}:
        raise ContractError(
            f"the feeds of hour {hour} stand in for publication {min(numbers)}; {decision['number']} is served since, "
            f"and they are void",
            where="table publications",
            next_step=f"reelfeed run refresh_feeds export_refresh --ds {ctx.ds} --hour {hour}",
        )


JOB = Job(
    name="export_refresh",
    doc=__doc__,
    owner="feed-ranking",
    reads=(PUBLICATIONS, REFRESHED_FEEDS),
    writes=(),
    run=run,
    timeout_minutes=20,
)
