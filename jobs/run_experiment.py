"""Trains and judges one ranker that differs from tonight's, for people to look at: nothing of it is ever served."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from core.errors import ReelfeedError
from core.job import Job, JobContext, log
from core.spark import BARRIER
from core.tables.experiments import TABLE as EXPERIMENTS
from core.tables.training_examples import TABLE as TRAINING_EXAMPLES
from jobs._training_runs import log_test, training_run, training_set
from jobs.train_ranker import COLUMNS, boost
from models.experiment import Experiment, read_experiment
from models.gate import HEAD
from models.heads import head_labels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models.estimate import Figures
    from models.examples import Examples
    from models.ranker import Ranker
    from models.ranker_training import FitReport

EXPERIMENT = "experiments"


def run(ctx: JobContext) -> None:
    """Publishes how the experiment of `ctx.experiment` did on the training set of `ctx.ds`, and logs it to MLflow.

    It neither registers a model nor moves an alias. Raises UsageError for an experiment that makes no sense, before
    any work.
    """
    import mlflow

    from core import tracking
    from features.catalog import feature_names, neutral_values
    from models import registry
    from models.evaluation import check_frozen, head_figures, list_figures, predict
    from models.examples import at_scoring, examples
    from models.ranker_training import PARAMETERS, ROUNDS

    experiment = read_experiment(ctx.experiment)
    tracking.connect(ctx.settings)
    names, table = feature_names(), ctx.read_arrow(TRAINING_EXAMPLES, COLUMNS)
    rows = examples(table, ("test",), len(names), head_labels())
    check_frozen(rows)
    rows = replace(rows, features=at_scoring(rows.features, neutral_values()))
    settings, parameters, rounds = ctx.settings, {**PARAMETERS, **experiment.lightgbm}, experiment.rounds or ROUNDS
    ranker, report = _fit(ctx, experiment, examples(table, ("train", "validate"), len(names), head_labels()))
    del table
    predictions = {"challenger": predict(ranker, rows, names)}
    try:
        # The champion as this night left it: it knows no more of the test days than the experiment does.
        if champion := registry.champion(settings, ctx.recipe.name, before=ctx.ds + timedelta(days=1)):
            predictions["champion"] = predict(champion[0], rows, names)
    except ReelfeedError as error:
        log.warning("run_experiment: the champion cannot score, and nothing is compared with it: %s", error.what)
    figures = head_figures(rows, predictions)
    if HEAD in ranker.heads:
        figures |= list_figures(rows, predictions, settings.seed)
    else:
        log.warning("run_experiment: lists are not judged, since head %s, which orders them, is not trained", HEAD)
    key, name = f"{ctx.recipe.name} {ctx.ds} {experiment.hash}", experiment.name or experiment.hash
    changes = {"changes": json.dumps(experiment.changes, sort_keys=True)}
    with training_run(ctx, EXPERIMENT, key, ranker, report, parameters, rounds, changes, name) as active:
        log_test(ctx, active, rows, predictions["challenger"], figures)
        mlflow.log_text(_card(ctx, ranker, report, rows, predictions["challenger"], figures), "model_card.md")
    _publish(ctx, experiment, ranker, rows, figures)


def _fit(ctx: JobContext, experiment: Experiment, rows: Examples) -> tuple[Ranker, FitReport]:
    """Returns the ranker that `experiment` asks for, fitted on `rows`, which have every feature and label."""
    from features.catalog import categorical_names, feature_names, neutral_values
    from models.ranker_training import PARAMETERS, ROUNDS, fit

    kept = experiment.feature_names
    places = [feature_names().index(name) for name in kept]
    neutral = neutral_values()
    ranker, report = fit(
        replace(rows, features=rows.features[:, places]) if len(places) < rows.features.shape[1] else rows,
        features=kept,
        categorical=tuple(name for name in categorical_names() if name in kept),
        heads=experiment.trained_heads,
        neutral={new: neutral[old] for new, old in enumerate(places) if old in neutral},
        seed=ctx.settings.seed,
        threads=ctx.settings.threads,
        boost=boost(ctx),
        parameters={**PARAMETERS, **experiment.lightgbm},
        rounds=experiment.rounds or ROUNDS,
    )
    for note in report.notes:
        log.warning("run_experiment: %s", note)
    return ranker, report


def _card(
    ctx: JobContext, ranker: Ranker, report: FitReport, rows: Examples, predicted: NDArray[np.float64], figures: Figures
) -> str:
    import numpy as np

    from features.catalog import feature_names
    from models.cohorts import calibrations, cohorts
    from models.model_card import Trained, model_card

    no_tags = np.full(len(rows.video), -1)
    held = calibrations(rows, predicted, cohorts(rows, feature_names(), no_tags))
    validate_rows, users = report.stop_rows + report.calibrate_rows, len(np.unique(rows.user))
    data = (training_set(ctx), report.train_rows, validate_rows, len(rows.user), users)
    return model_card(Trained(ranker, ctx.recipe, ctx.ds, *data), ctx.settings, figures, held)


def _publish(ctx: JobContext, experiment: Experiment, ranker: Ranker, rows: Examples, figures: Figures) -> None:
    """Publishes the figures beside those of the day's other experiments, in place of earlier ones of the same."""
    from pyspark.sql import functions as F

    from core.lake import spark_schema

    about = {
        "recipe": ctx.recipe.name,
        "experiment": experiment.hash,
        "name": experiment.name,
        "changes": json.dumps(experiment.changes, sort_keys=True),
        "model": ranker.model_id,
        "rows": len(rows.user),
        "users": len(set(rows.user.tolist())),
        "ds": ctx.ds,
    }
    found = [
        {**about, "system": system, "head": head, "metric": metric, **vars(figure)}
        for (system, head, metric), figure in sorted(figures.items())
    ]
    frame = ctx.spark.createDataFrame(found, spark_schema(EXPERIMENTS))
    if ctx.ds in ctx.days_of(EXPERIMENTS):
        this = (F.col("recipe") == ctx.recipe.name) & (F.col("experiment") == experiment.hash)
        frame = frame.unionByName(ctx.read(EXPERIMENTS).where(~this))
    ctx.publish(EXPERIMENTS, frame)


JOB = Job(
    name="run_experiment",
    doc=__doc__,
    owner="feed-ranking",
    reads=(TRAINING_EXAMPLES, EXPERIMENTS),
    writes=(EXPERIMENTS,),
    run=run,
    spark=BARRIER,
)
