"""Learns from the last days how far each candidate source is to be trusted, and what each of them is worth.

All sources are fitted as of HELD_DAYS ago and asked for candidates; the long views since then say what was right. The
blend learned from one half of the users is compared with round robin on the other half, both ways; the better is
served.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from core.job import Job, JobContext, log
from core.tables.blends import TABLE as BLENDS
from core.tables.source_quality import TABLE as SOURCE_QUALITY
from jobs import _look_back, _sources

if TYPE_CHECKING:
    from core.recipe import Recipe
    from models.attribution import Pairs, Truth
    from models.blend import Blend
    from models.merge import Candidates
    from models.source import Known
    from models.source_quality import Pool

HELD_DAYS = 2
HALVES = 2
NEW_DAYS = 3
EXPERIMENT = "candidate_sources"


def run(ctx: JobContext) -> None:
    """Publishes the blend and the quality of the recipe's sources as of `ctx.ds`.

    Raises MissingDataError where there was no day to fit on, or no one watched anything for long since.
    """
    import numpy as np

    from core.lake import spark_schema
    from models.history import histories
    from models.serving import asked_of, served_sources
    from models.source_quality import by_source, quality

    known = _look_back.known_before(ctx, ctx.ds - timedelta(days=HELD_DAYS))
    models, _ = _sources.fit_all(known, served_sources(ctx.recipe))
    watched = _look_back.watched_since(ctx, known)
    true = _look_back.truth_of(watched)
    asking = histories(known.impressions, watched.select("user_id").distinct()).cache()
    names, found = _look_back.named(_sources.ask_all(models, asking, asked_of(ctx.recipe)))
    blend, merged = _merged(found, names, ctx.recipe, true)
    is_better = "blend" in merged and _mean(merged["blend"], true) > _mean(merged["round_robin"], true)
    with_history = np.sort(asking.where("size(seen) > 0").select("user_id").toArrow()["user_id"].to_numpy())
    rows = quality(by_source(found, names), merged, true, with_history, _pool(known), ctx.settings.seed)
    named = [{"recipe": ctx.recipe.name, "ds": ctx.ds, **row} for row in rows]
    ctx.publish(SOURCE_QUALITY, ctx.spark.createDataFrame(named, spark_schema(SOURCE_QUALITY)))
    weights = blend.weights if blend else dict.fromkeys(names, (0.0, 0.0))
    trusted = [(ctx.recipe.name, name, *pair, is_better, ctx.ds) for name, pair in sorted(weights.items())]
    ctx.publish(BLENDS, ctx.spark.createDataFrame(trusted, spark_schema(BLENDS)))
    _track(ctx, named)
    ctx.spark.catalog.clearCache()


def _merged(
    found: Candidates, names: Sequence[str], recipe: Recipe, true: Truth
) -> tuple[Blend | None, dict[str, Pairs]]:
    """Returns the blend of all users, if any, and the merged lists: round robin and blend.

    The blend's list of a user is in the order of a blend that was fitted without that user.
    """
    import numpy as np

    from models.attribution import Pairs, is_true
    from models.blend import fit
    from models.merge import in_order
    from models.serving import merging
    from models.source_quality import merged_list

    right = is_true(Pairs(found.user, found.video, np.ones_like(found.user)), true)
    merged = {"round_robin": merged_list(found, in_order(found, names, merging(recipe, None)))}
    half = found.user % HALVES
    if any(not right[half == one].any() for one in range(HALVES)):
        log.warning("too little of what the sources named was watched for long to learn a blend from")
        return None, merged
    blends = [
        fit(found.ranks[half != one], found.scores[half != one], right[half != one], names) for one in range(HALVES)
    ]
    orders = [in_order(found, names, merging(recipe, blend)) for blend in blends]
    order = np.concatenate([part[half[part] == one] for one, part in enumerate(orders)])
    merged["blend"] = merged_list(found, order[np.argsort(found.user[order], kind="stable")])
    return fit(found.ranks, found.scores, right, names), merged


def _mean(listed: Pairs, true: Truth) -> float:
    from models.attribution import DEPTH, recall

    return float(recall(listed, true, DEPTH).mean())


def _pool(known: Known) -> Pool:
    import numpy as np
    from pyspark.sql import functions as F

    from models.source_quality import Pool

    is_new = F.coalesce(F.datediff(F.lit(known.ds), "uploaded_on") < NEW_DAYS, F.lit(False))
    rows = known.videos.select("video_id", "author_id", is_new.alias("is_new")).orderBy("video_id").toArrow()
    return Pool(rows["video_id"].to_numpy(), rows["author_id"].to_numpy(), np.asarray(rows["is_new"]))


def _track(ctx: JobContext, rows: list[dict[str, Any]]) -> None:
    """Logs the quality to MLflow: figures, the table, and a plot of recall."""
    import mlflow
    import pandas as pd

    from core import tracking
    from models import plots

    tags = {"recipe_hash": ctx.recipe.hash, "ds": str(ctx.ds)}
    with tracking.run(ctx.settings, EXPERIMENT, f"{ctx.recipe.name} {ctx.ds} quality", params={}, tags=tags):
        figures = {
            f"{row['system']}.{row['cohort']}.{row['metric'].replace('@', '_at_')}": row["value"]
            for row in rows
            if ":" not in row["metric"]
        }
        mlflow.log_metrics(figures)
        table = pd.DataFrame(rows).drop(columns=["ds"])
        mlflow.log_text(table.to_csv(index=False), "source_quality.csv")
        mlflow.log_text(table.to_html(index=False, float_format="%.4f", na_rep=""), "source_quality.html")
        mlflow.log_figure(plots.recall(rows), "source_recall.png")


JOB = Job(
    name="fit_blend",
    doc=__doc__,
    owner="feed-candidates",
    reads=_sources.TABLES,
    writes=(BLENDS, SOURCE_QUALITY),
    run=run,
)
