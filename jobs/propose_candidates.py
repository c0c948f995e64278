"""Asks every source of the recipe for candidates and merges their lists, one per user."""

from __future__ import annotations

from core.job import Job, JobContext
from core.tables.candidates import TABLE as CANDIDATES
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.source_models import TABLE as SOURCE_MODELS
from core.tables.users import TABLE as USERS
from models.history import DAYS


def run(ctx: JobContext) -> None:
    """Publishes the candidates of every user of table users."""
    from pyspark.sql import functions as F

    from models.history import histories
    from models.merge import merge
    from models.source import all_sources

    impressions = ctx.read_window(IMPRESSIONS, DAYS - 1)
    asking = histories(impressions, ctx.read(USERS)).cache()
    models = ctx.read(SOURCE_MODELS).cache()
    proposals = {
        name: all_sources()[name].propose(models.where(F.col("source") == name), asking, quota)
        for name, quota in sorted(ctx.recipe.sources.items())
    }
    merged = merge(proposals, ctx.recipe.candidates).withColumn("ds", F.lit(ctx.ds))
    ctx.publish(CANDIDATES, merged)
    asking.unpersist()
    models.unpersist()


JOB = Job(
    name="propose_candidates",
    doc=__doc__,
    owner="feed-candidates",
    reads=(IMPRESSIONS, USERS, SOURCE_MODELS),
    writes=(CANDIDATES,),
    run=run,
)
