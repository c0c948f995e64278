"""Learns from the last days how far each candidate source is to be trusted, and what each of them is worth.

All sources are fitted as of HELD_DAYS ago and asked for candidates; the long views since then say what was right. The
blend learned from one half of the users is compared with round robin on the other half, both ways; the better is
served.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from core.errors import MissingDataError
from core.job import Job, JobContext, log
from core.tables.blends import TABLE as BLENDS
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.source_quality import TABLE as SOURCE_QUALITY
from jobs import _sources

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from core.recipe import Recipe
    from models.attribution import Pairs, Truth
    from models.blend import Blend
    from models.merge import Candidates
    from models.source import Known
    from models.source_quality import Pool

HELD_DAYS = 2
MOST_USERS = 10_000
"""Users asked, drawn by hash where more watched anything: bounds what is compared in memory."""
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
    from models.merge import gathered, tabulated
    from models.serving import asked_of, served_sources
    from models.source_quality import by_source, quality

    cut = ctx.ds - timedelta(days=HELD_DAYS)
    _check_days(ctx, cut)
    known = _sources.known_on(ctx, cut)
    models, _ = _sources.fit_all(known, served_sources(ctx.recipe))
    watched = _watched(ctx, known, cut).cache()
    true = _truth(watched, ctx)
    asking = histories(known.impressions, watched.select("user_id").distinct()).cache()
    asked = _sources.ask_all(models, asking, asked_of(ctx.recipe))
    names = sorted(asked)
    found = tabulated(gathered([asked[name].toArrow() for name in names]), len(names))
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


def _check_days(ctx: JobContext, cut: date) -> None:
    for table in _sources.TABLES:
        if cut not in ctx.days_of(table):
            raise MissingDataError(
                f"table {table.name} has no rows of {cut}, {HELD_DAYS} days before {ctx.ds}",
                where="fit_blend fits every source on what was known that day",
                next_step=f"reelfeed run ingest_events --from {cut} --ds {ctx.ds}",
            )


def _watched(ctx: JobContext, known: Known, cut: date) -> DataFrame:
    """Returns user_id, video_id: what users of that day watched for long since, of the pool, and had not met before."""
    from pyspark.sql import functions as F

    days = [day for day in ctx.days_of(IMPRESSIONS) if cut < day <= ctx.ds]
    since = ctx.read(IMPRESSIONS, days).where(F.col("is_long_view") & (F.col("shown_on") > F.lit(cut)))
    pairs = since.select("user_id", "video_id").distinct()
    met = known.impressions.select("user_id", "video_id")
    return (
        pairs.join(known.users, on="user_id", how="left_semi")
        .join(known.videos, on="video_id", how="left_semi")
        .join(met, on=["user_id", "video_id"], how="left_anti")
        .join(_drawn(pairs), on="user_id", how="left_semi")
    )


def _drawn(pairs: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    return pairs.select("user_id").distinct().orderBy(F.xxhash64("user_id"), "user_id").limit(MOST_USERS)


def _truth(watched: DataFrame, ctx: JobContext) -> Truth:
    from models.attribution import truth

    rows = watched.toArrow()
    if not rows.num_rows:
        raise MissingDataError(
            f"no one watched for long anything new to them in the {HELD_DAYS} days to {ctx.ds}",
            where="table impressions",
            next_step="give a --ds with long views, or ingest the missing days",
        )
    return truth(rows["user_id"].to_numpy(), rows["video_id"].to_numpy())


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
