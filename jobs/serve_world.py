"""Hands tonight's feeds to the simulated world, whose users see them, and react to them, tomorrow."""

from __future__ import annotations

from datetime import timedelta

from core.errors import UsageError
from core.job import Job, JobContext, log
from core.tables.feeds import TABLE as FEEDS


def run(ctx: JobContext) -> None:
    """Gives the feeds of `ctx.ds` to the world for the day after.

    Raises UsageError for logs of people who are not simulated, and where the world has lived that day already.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from sim import logs, loop

    if ctx.logs != "simulated":
        raise UsageError(
            f"only simulated users react to a feed, not those of {ctx.logs}",
            where="DAG closed_loop, param logs",
            choices=["simulated"],
        )
    logs.load_config(ctx.logs_dir)
    rows = ctx.read_arrow(FEEDS)
    ours = rows.filter(pc.equal(rows["recipe"], ctx.recipe.name))
    day = ctx.ds + timedelta(days=1)
    nothing_explored = pa.nulls(len(ours), pa.float64())
    explored = ours.append_column("is_exploration", nothing_explored.is_valid())
    loop.give(ctx.logs_dir, day, explored.append_column("propensity", nothing_explored))
    log.info("%s slots are shown on %s", f"{len(ours):,}", day)


JOB = Job(name="serve_world", doc=__doc__, owner="feed-ranking", reads=(FEEDS,), writes=(), run=run)
