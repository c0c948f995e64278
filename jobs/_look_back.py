"""Sources as they would have been some days ago, and what users have watched since."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

from core.errors import MissingDataError
from core.job import JobContext
from core.tables.impressions import TABLE as IMPRESSIONS
from jobs import _sources

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from models.attribution import Truth
    from models.merge import Candidates
    from models.source import Known

MOST_USERS = 10_000
"""Users asked, drawn by hash where more watched anything: bounds what is compared in memory."""


def known_before(ctx: JobContext, cut: date) -> Known:
    """Returns what sources may learn from as of the end of `cut`; raises MissingDataError where a table lacks it."""
    for table in _sources.TABLES:
        if cut not in ctx.days_of(table):
            raise MissingDataError(
                f"table {table.name} has no rows of {cut}, {(ctx.ds - cut).days} days before {ctx.ds}",
                where="the day that sources are fitted on, to compare with what came since",
                next_step=f"reelfeed run ingest_events --from {cut} --ds {ctx.ds}",
            )
    return _sources.known_on(ctx, cut)


def watched_since(ctx: JobContext, known: Known) -> DataFrame:
    """Returns user_id, video_id: what users of `known` watched for long since, of its pool, and had not met before.

    Raises MissingDataError where there is nothing.
    """
    watched = new_long_views(ctx, known.ds, known.impressions)
    there = watched.join(known.users, on="user_id", how="left_semi").join(known.videos, on="video_id", how="left_semi")
    found = of_drawn_users(there, MOST_USERS).cache()
    if found.isEmpty():
        raise MissingDataError(
            f"no one watched anything new to them for long from {known.ds} to {ctx.ds}",
            where="table impressions",
            next_step="give a --ds with long views, or ingest the missing days",
        )
    return found


def new_long_views(ctx: JobContext, day: date, met: DataFrame) -> DataFrame:
    """Returns user_id, video_id: what was watched for long after `day` until `ctx.ds` and is not among those `met`."""
    from pyspark.sql import functions as F

    days = [one for one in ctx.days_of(IMPRESSIONS) if day < one <= ctx.ds]
    since = ctx.read(IMPRESSIONS, days).where(F.col("is_long_view") & (F.col("shown_on") > F.lit(day)))
    pairs = since.select("user_id", "video_id").distinct()
    return pairs.join(met.select("user_id", "video_id"), on=["user_id", "video_id"], how="left_anti")


def of_drawn_users(pairs: DataFrame, most: int) -> DataFrame:
    """Returns those of `pairs` (user_id, video_id) of at most so many users, drawn by hash."""
    from pyspark.sql import functions as F

    users = pairs.select("user_id").distinct().orderBy(F.xxhash64("user_id"), "user_id").limit(most)
    return pairs.join(users, on="user_id", how="left_semi")


def truth_of(watched: DataFrame) -> Truth:
    """Returns the pairs user_id, video_id of `watched` as a truth to measure by."""
    from models.attribution import truth

    rows = watched.toArrow()
    return truth(rows["user_id"].to_numpy(), rows["video_id"].to_numpy())


def named(asked: Mapping[str, DataFrame]) -> tuple[list[str], Candidates]:
    """Returns the names of the sources in order, and all that they proposed."""
    from models.merge import gathered, tabulated

    names = sorted(asked)
    return names, tabulated(gathered([asked[name].toArrow() for name in names]), len(names))
