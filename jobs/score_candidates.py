"""Scores candidates with the champion: calibrated heads, and the recipe's value of them; the pre-ranker says which."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING

from core.errors import MissingDataError
from core.job import Job, JobContext, alert, log
from core.tables.candidates import TABLE as CANDIDATES
from core.tables.preranks import TABLE as PRERANKS
from core.tables.scored_candidates import TABLE as SCORED_CANDIDATES
from core.tables.videos import TABLE as VIDEOS
from jobs import _knowledge

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from features.point_in_time import Knowledge
    from models.ranker import Ranker


def run(ctx: JobContext) -> None:
    """Publishes the scored candidates of every user who has candidates, and what the pre-ranker's cut of them cost.

    Raises MissingDataError where the recipe has no champion, UsageError where its weights do not fit the heads,
    ContractError where the champion needs features that are gone.
    """
    from core.lake import spark_schema
    from jobs._preranking import preranked
    from models.registry import champion
    from models.value import check_value

    check_value(ctx.recipe)
    # The champion as the night found it, so that the same night run again scores with the same one.
    serving = champion(ctx.settings, ctx.recipe.name, before=ctx.ds) or champion(ctx.settings, ctx.recipe.name)
    if serving is None:
        raise MissingDataError(
            f"recipe {ctx.recipe.name!r} has no champion to score with",
            where=f"MLflow registry, model reelfeed-{ctx.recipe.name}",
            next_step=f"reelfeed run build_training_set train_ranker evaluate promote --ds {ctx.ds}",
        )
    ranker, _ = serving
    known, late = _knowledge.knowledge(ctx, [ctx.ds])
    if late:
        tables = ", ".join(late)
        alert.error("ALERT owner=%s feeds of %s are of the tier degraded, late are: %s", JOB.owner, ctx.ds, tables)
    candidates = ctx.read(CANDIDATES).select("user_id", "video_id", "rank", "sources", "ds")
    rows = _knowledge.feed_rows(candidates, ctx.read(VIDEOS), ctx.recipe.surface)
    chosen, cost = preranked(ctx, rows, known, ranker)
    log.info("pre-ranker, of users it has not learned from: %s", cost)
    told = [(ctx.recipe.name, *astuple(cost), ctx.ds)]
    ctx.publish(PRERANKS, ctx.spark.createDataFrame(told, spark_schema(PRERANKS)))
    ctx.publish(SCORED_CANDIDATES, scored(ctx, chosen, known, bool(late), ranker))
    chosen.unpersist()


def scored(ctx: JobContext, rows: DataFrame, known: Knowledge, is_degraded: bool, ranker: Ranker) -> DataFrame:
    """Returns `rows`, as features.point_in_time takes them, as rows of table scored_candidates of night `ctx.ds`."""
    from pyspark.sql import functions as F

    from features.point_in_time import vectors
    from models.scoring import predicted
    from models.varied import UserWeights

    values = predicted(vectors(rows, known), ranker, UserWeights.of_night(ctx.recipe, ctx.ds))
    made_of = {
        "is_degraded": is_degraded,
        "model": ranker.model_id,
        "snapshot_version": _knowledge.snapshot_version(ctx, ctx.ds),
        "ds": ctx.ds,
    }
    final = values.withColumns({name: F.lit(value) for name, value in made_of.items()})
    return final.select(*SCORED_CANDIDATES.column_names)


JOB = Job(
    name="score_candidates",
    doc=__doc__,
    owner="feed-ranking",
    reads=(CANDIDATES, *_knowledge.TABLES),
    writes=(SCORED_CANDIDATES, PRERANKS),
    run=run,
)
