"""Asks every source of the recipe for candidates and merges their lists, one per user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.job import Job, JobContext, log
from core.tables.blends import TABLE as BLENDS
from core.tables.candidates import TABLE as CANDIDATES
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.source_models import TABLE as SOURCE_MODELS
from core.tables.users import TABLE as USERS
from jobs import _sources
from models.history import DAYS

if TYPE_CHECKING:
    from models.blend import Blend


def run(ctx: JobContext) -> None:
    """Publishes the candidates of every user of table users who has any."""
    from pyspark.sql import functions as F

    from models.history import histories
    from models.merge import merge
    from models.serving import asked_of, merging

    impressions = ctx.read_window(IMPRESSIONS, DAYS - 1)
    asking = histories(impressions, ctx.read(USERS)).cache()
    models = ctx.read(SOURCE_MODELS).cache()
    there = [row["source"] for row in models.select("source").distinct().collect()]
    by_source = {name: models.where(F.col("source") == name) for name in there}
    proposals = _sources.ask_all(by_source, asking, asked_of(ctx.recipe))
    merged = merge(proposals, merging(ctx.recipe, _blend(ctx))).withColumn("ds", F.lit(ctx.ds))
    ctx.publish(CANDIDATES, merged)
    asking.unpersist()
    models.unpersist()


def _blend(ctx: JobContext) -> Blend | None:
    """Returns the newest blend of the recipe as the night found it, so that the same night again merges the same way.

    None where there is none or round robin was better.
    """
    from pyspark.sql import functions as F

    from models.blend import served

    days = ctx.days_of(BLENDS)
    for day in reversed([day for day in days if day < ctx.ds] or days):
        rows = ctx.read(BLENDS, [day]).where(F.col("recipe") == ctx.recipe.name).collect()
        if rows:
            blend = served([row.asDict() for row in rows])
            log.info("merging by %s, as measured on %s", "the blend" if blend else "round robin", day)
            return blend
    log.info("merging by round robin: no blend was fitted yet")
    return None


JOB = Job(
    name="propose_candidates",
    doc=__doc__,
    owner="feed-candidates",
    reads=(IMPRESSIONS, USERS, SOURCE_MODELS, BLENDS),
    writes=(CANDIDATES,),
    run=run,
)
