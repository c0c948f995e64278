"""Says how late every table of the night is, before anyone asks why feeds look odd."""

from __future__ import annotations

from datetime import date

from core.job import Job, JobContext, log
from core.table import Table
from core.tables.blocked_authors import TABLE as BLOCKED_AUTHORS
from core.tables.feeds import TABLE as FEEDS
from core.tables.follows import TABLE as FOLLOWS
from core.tables.health import TABLE as HEALTH
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.source_models import TABLE as SOURCE_MODELS
from core.tables.users import TABLE as USERS
from core.tables.videos import TABLE as VIDEOS
from features.catalog import all_groups
from features.freshness import HOURS_A_DAY

WATCHED = (
    *(IMPRESSIONS, USERS, VIDEOS, FOLLOWS, BLOCKED_AUTHORS, SOURCE_MODELS, FEEDS),
    *[group.snapshot for group in all_groups().values()],
)


def run(ctx: JobContext) -> None:
    """Publishes table health for `ctx.ds` and logs what is not fresh."""
    from core.lake import spark_schema

    rows = [judged(table, ctx.days_of(table), ctx.ds) for table in WATCHED]
    for row in rows:
        if row["state"] != "fresh":
            log.warning("%s is %s: its newest day is %s", row["table"], row["state"], row["newest"])
    ctx.publish(HEALTH, ctx.spark.createDataFrame(rows, spark_schema(HEALTH)))


def judged(table: Table, there: list[date], ds: date) -> dict[str, object]:
    """Returns the row of table health about `table`, which has the days `there`, none later than `ds`."""
    newest = max(there, default=None)
    lag = (ds - newest).days * HOURS_A_DAY if newest else None
    state = "never"
    if lag is not None:
        state = "fresh" if lag == 0 else "late" if lag <= table.fresh_for_hours else "stale"
    return {
        "table": table.name,
        "newest": newest,
        "lag_hours": lag,
        "allowed_hours": table.fresh_for_hours,
        "state": state,
        "ds": ds,
    }


JOB = Job(name="check_health", doc=__doc__, owner="feed-data", reads=WATCHED, writes=(HEALTH,), run=run)
