"""Trains tonight's challenger: one calibrated booster per head, logged to MLflow and registered."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from core.job import Job, JobContext
from core.spark import BARRIER
from core.tables.rankers import TABLE as RANKERS
from core.tables.training_examples import TABLE as TRAINING_EXAMPLES
from models.heads import HEADS, head_labels

if TYPE_CHECKING:
    from models.ranker import Ranker
    from models.ranker_training import FitReport

log = logging.getLogger("reelfeed")

EXPERIMENT = "train_models"
COLUMNS = ("user_id", "video_id", "shown_at", "snapshot_ds", "part", "features", "labels", "popularity", "weight")


def run_key(ctx: JobContext) -> str:
    """Returns the key of the MLflow run that tonight's training and evaluation share."""
    return f"{ctx.recipe.name} {ctx.ds}"


def run(ctx: JobContext) -> None:
    """Publishes the row of table rankers for `ctx.ds`, and leaves the ranker in MLflow as challenger."""
    from core import tracking
    from core.lake import spark_schema
    from features.catalog import categorical_names, feature_names, feature_set, neutral_values
    from models import registry
    from models.boosting import grow
    from models.examples import examples
    from models.ranker_spark import on_cluster
    from models.ranker_training import PARAMETERS, ROUNDS, fit

    tracking.connect(ctx.settings)
    names = feature_names()
    table = ctx.read_arrow(TRAINING_EXAMPLES, COLUMNS)
    rows = examples(table, ("train", "validate"), len(names), head_labels())
    del table
    settings = ctx.settings
    ranker, report = fit(
        rows,
        features=names,
        categorical=categorical_names(),
        heads=HEADS,
        neutral=neutral_values(),
        seed=settings.seed,
        threads=settings.threads,
        boost=on_cluster(ctx.spark, settings.lake, settings.train_workers) if settings.train_workers > 1 else grow,
    )
    for note in report.notes:
        log.warning("train_ranker: %s", note)
    params = {
        "recipe": ctx.recipe.name,
        "ds": ctx.ds,
        "seed": settings.seed,
        "train_workers": settings.train_workers,
        "features": len(names),
        "feature_set": feature_set(),
        "rounds_at_most": ROUNDS,
        "train_rows": report.train_rows,
        "stop_rows": report.stop_rows,
        "calibrate_rows": report.calibrate_rows,
        "model": ranker.model_id,
        **{f"split.{name}": days for name, days in vars(settings.split).items()},
        **{f"lightgbm.{name}": value for name, value in PARAMETERS.items()},
    }
    tags = {f"reads.{name}": str(version) for name, version in ctx.reads.items()}
    tags |= {"git_commit": tracking.commit(), "recipe_hash": ctx.recipe.hash, "notes": "; ".join(report.notes)}
    with tracking.run(settings, EXPERIMENT, run_key(ctx), params=params, tags=tags):
        _log_report(report)
        version = registry.log_ranker(settings, ctx.recipe.name, ranker)
    registry.set_challenger(settings, ctx.recipe.name, version)
    row = _row(ctx, ranker, version, report, feature_set())
    ctx.publish(RANKERS, ctx.spark.createDataFrame([row], spark_schema(RANKERS)))


def _row(ctx: JobContext, ranker: Ranker, version: int, report: FitReport, feature_set: str) -> dict[str, object]:
    return {
        "recipe": ctx.recipe.name,
        "model": ranker.model_id,
        "version": version,
        "feature_set": feature_set,
        "train_rows": report.train_rows,
        "validate_rows": report.stop_rows + report.calibrate_rows,
        "ds": ctx.ds,
    }


def _log_report(report: FitReport) -> None:
    import math

    import mlflow

    from models import plots

    units = {head.name: head.unit for head in HEADS}
    figures: dict[str, float] = {}
    for head in report.heads:
        figures |= {
            f"validate.{head.head}.rounds": head.rounds,
            f"validate.{head.head}.loss_before_calibration": head.loss_before,
            f"validate.{head.head}.loss": head.loss_after,
            f"validate.{head.head}.calibration_ratio_before": head.ratio_before,
            f"validate.{head.head}.calibration_ratio": head.ratio_after,
        }
        mlflow.set_tag(f"calibration.{head.head}", head.calibration)
        curves = {"before calibration": head.curves[0], "calibrated": head.curves[1]}
        diagram = plots.reliability(f"{head.head}: calibration slice", units[head.head], curves)
        mlflow.log_figure(diagram, f"reliability/validate_{head.head}.png")
    mlflow.log_metrics({name: value for name, value in figures.items() if not math.isnan(value)})
    mlflow.log_figure(plots.importance({head.head: head.importance for head in report.heads}), "importance.png")


JOB = Job(
    name="train_ranker",
    doc=__doc__,
    owner="feed-ranking",
    reads=(TRAINING_EXAMPLES,),
    writes=(RANKERS,),
    run=run,
    spark=BARRIER,
)
