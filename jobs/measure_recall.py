"""Measures what the stages of the last night had kept of the long views that came on the day its feeds were served."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from core.job import Job, JobContext, log
from core.tables.candidates import TABLE as CANDIDATES
from core.tables.feeds import TABLE as FEEDS
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.scored_candidates import TABLE as SCORED_CANDIDATES
from core.tables.stage_recall import TABLE as STAGE_RECALL
from jobs._look_back import new_long_views, of_drawn_users
from models.history import DAYS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from models.attribution import Pairs

MOST_USERS = 5_000
"""Users counted, drawn by hash where more watched anything: bounds what is compared in memory."""


def run(ctx: JobContext) -> None:
    """Publishes table stage_recall for `ctx.ds`; no row where there was no feed before it, or nothing to measure by."""
    from core.lake import spark_schema

    before = [day for day in ctx.days_of(FEEDS) if day < ctx.ds]
    rows = _measured(ctx, before[-1]) if before else []
    if not rows:
        log.warning("no feed before %s, or no long view since: the recall of its stages is not known", ctx.ds)
    ctx.publish(STAGE_RECALL, ctx.spark.createDataFrame(rows, spark_schema(STAGE_RECALL)))


def _measured(ctx: JobContext, day: date) -> list[dict[str, Any]]:
    from pyspark.sql import functions as F

    from models.attribution import means, recall, truth

    candidates = ctx.read(CANDIDATES, [day])
    watched = _watched(ctx, day, candidates).cache()
    pairs = watched.toArrow()
    if not pairs.num_rows:
        return []
    true = truth(pairs["user_id"].to_numpy(), pairs["video_id"].to_numpy())
    users = F.broadcast(watched.select("user_id").distinct())
    named = candidates.join(users, on="user_id", how="left_semi").cache()
    feeds = ctx.read(FEEDS, [day]).where(F.col("recipe") == ctx.recipe.name)
    stages = {
        "candidates": _listed(named),
        "scored": _listed(ctx.read(SCORED_CANDIDATES, [day]).join(users, on="user_id", how="left_semi")),
        "feed": _listed(feeds.join(users, on="user_id", how="left_semi")),
    }
    by_source = named.select(
        "user_id", "video_id", F.explode("sources.source").alias("source"), F.size("sources").alias("n")
    )
    alone = {}
    for name in sorted(ctx.recipe.sources):
        mine = by_source.where(F.col("source") == name)
        stages[f"source {name}"] = _listed(mine)
        alone[f"source {name}"] = _listed(mine.where("n = 1"))
    whole = max(ctx.recipe.candidates, ctx.recipe.length)
    estimates = means({name: recall(listed, true, whole) for name, listed in stages.items()}, ctx.settings.seed)
    watched.unpersist()
    named.unpersist()
    return [
        {
            "recipe": ctx.recipe.name,
            "feed_ds": day,
            "stage": name,
            "recall": estimates[name].value,
            "low": estimates[name].low,
            "high": estimates[name].high,
            "only": float(recall(alone[name], true, whole).mean()) if name in alone else None,
            "videos": len(listed.user) / len(true.users),
            "users": len(true.users),
            "ds": ctx.ds,
        }
        for name, listed in stages.items()
    ]


def _watched(ctx: JobContext, day: date, candidates: DataFrame) -> DataFrame:
    """Returns user_id, video_id: what users with candidates of `day` watched since for long and had not met before."""
    first = day - timedelta(days=DAYS - 1)
    met = ctx.read(IMPRESSIONS, [one for one in ctx.days_of(IMPRESSIONS) if first <= one <= day])
    watched = new_long_views(ctx, day, met).join(candidates.select("user_id"), on="user_id", how="left_semi")
    return of_drawn_users(watched, MOST_USERS)


def _listed(rows: DataFrame) -> Pairs:
    """Returns the pairs of `rows`, in any order: what counts is whether they are there."""
    from models.attribution import Pairs
    from models.merge import places_of

    table = rows.select("user_id", "video_id").orderBy("user_id", "video_id").toArrow()
    user = table["user_id"].to_numpy()
    return Pairs(user, table["video_id"].to_numpy(), places_of(user))


JOB = Job(
    name="measure_recall",
    doc=__doc__,
    owner="feed-candidates",
    reads=(CANDIDATES, SCORED_CANDIDATES, FEEDS, IMPRESSIONS),
    writes=(STAGE_RECALL,),
    run=run,
)
