"""Trains tonight's challenger: one calibrated booster per head, logged to MLflow and registered."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from core.job import Job, JobContext
from core.spark import BARRIER
from core.tables.rankers import TABLE as RANKERS
from core.tables.training_examples import TABLE as TRAINING_EXAMPLES
from jobs._training_runs import training_run
from models.heads import HEADS, head_labels

if TYPE_CHECKING:
    from models.boosting import Boost
    from models.ranker import Ranker
    from models.ranker_training import FitReport

log = logging.getLogger("reelfeed")

EXPERIMENT = "train_models"
COLUMNS = (
    *("user_id", "video_id", "shown_at", "snapshot_ds", "part"),
    *("features", "labels", "popularity", "weight", "examined"),
)


def run_key(ctx: JobContext) -> str:
    """Returns the key of the MLflow run that tonight's training and evaluation share."""
    return f"{ctx.recipe.name} {ctx.ds}"


def run(ctx: JobContext) -> None:
    """Publishes the row of table rankers for `ctx.ds`, and leaves the ranker in MLflow as challenger."""
    from core import tracking
    from core.lake import spark_schema
    from features.catalog import categorical_names, feature_names, feature_set, neutral_values
    from models import registry
    from models.examples import examples_in_file
    from models.ranker_training import PARAMETERS, ROUNDS, fit

    tracking.connect(ctx.settings)
    names = feature_names()
    settings = ctx.settings
    with tempfile.TemporaryDirectory() as folder:
        batches = ctx.read_batches(TRAINING_EXAMPLES, COLUMNS)
        rows = examples_in_file(batches, ("train", "validate"), len(names), head_labels(), Path(folder))
        ranker, report = fit(
            rows,
            features=names,
            categorical=categorical_names(),
            heads=HEADS,
            neutral=neutral_values(),
            seed=settings.seed,
            threads=settings.threads,
            boost=boost(ctx),
        )
    for note in report.notes:
        log.warning("train_ranker: %s", note)
    with training_run(ctx, EXPERIMENT, run_key(ctx), ranker, report, PARAMETERS, ROUNDS):
        version = registry.log_ranker(settings, ctx.recipe.name, ranker)
    registry.set_challenger(settings, ctx.recipe.name, version)
    row = _row(ctx, ranker, version, report, feature_set())
    ctx.publish(RANKERS, ctx.spark.createDataFrame([row], spark_schema(RANKERS)))


def boost(ctx: JobContext) -> Boost:
    """Returns what grows the boosters: this process, or as many tasks of the cluster as the settings say."""
    from models.boosting import grow
    from models.ranker_spark import on_cluster

    workers = ctx.settings.train_workers
    return on_cluster(ctx.spark, ctx.settings.lake, workers) if workers > 1 else grow


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


JOB = Job(
    name="train_ranker",
    doc=__doc__,
    owner="feed-ranking",
    reads=(TRAINING_EXAMPLES,),
    writes=(RANKERS,),
    run=run,
    spark=BARRIER,
)
