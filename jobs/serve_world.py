"""Hands tonight's feeds to the simulated world, whose users see them, and react to them, tomorrow."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from core.errors import UsageError
from core.job import Job, JobContext, log
from core.tables.feeds import TABLE as FEEDS

if TYPE_CHECKING:
    import numpy as np
    import pyarrow


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
    place = ours.schema.get_field_index("propensity")
    loop.give(ctx.logs_dir, day, ours.set_column(place, "propensity", pa.array(_once_explored(ours), from_pandas=True)))
    log.info("%s slots are shown on %s", f"{len(ours):,}", day)


def _once_explored(feeds: pyarrow.Table) -> np.ndarray:
    """Returns the probability of the video in its slot, given that exploration filled the slot; NaN elsewhere."""
    import numpy as np

    is_drawn, propensity = feeds["is_exploration"].to_numpy(), feeds["propensity"].to_numpy()
    _, user = np.unique(feeds["user_id"].to_numpy(), return_inverse=True)
    # Of the open slots O of a feed K were drawn, and K / O is the probability that a given one is.
    opened, drawn = np.bincount(user, is_drawn | (propensity < 1))[user], np.bincount(user, is_drawn)[user]
    return np.where(is_drawn, propensity * opened / np.maximum(drawn, 1), np.nan)


JOB = Job(name="serve_world", doc=__doc__, owner="feed-ranking", reads=(FEEDS,), writes=(), run=run)
