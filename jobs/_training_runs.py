"""How a training stands in MLflow: one run with what it follows from and what it scored, and a child for each head.

The run names each head's figures (`test.challenger.like.auc`), a child has those of its head alone and without its name
(`test.challenger.auc`), so that heads compare as trainings do. Experiments use the same names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from core import tracking
from core.job import JobContext
from core.lake import Publish
from core.tables.training_examples import TABLE as TRAINING_EXAMPLES
from models.heads import HEADS

if TYPE_CHECKING:
    import numpy as np
    from mlflow import ActiveRun
    from numpy.typing import NDArray

    from models.estimate import Figures
    from models.examples import Examples
    from models.ranker import Ranker
    from models.ranker_training import FitReport, HeadReport


def training_set(ctx: JobContext) -> Publish:
    """Returns the publish of table training_examples that this job has read for `ctx.ds`."""
    version = ctx.reads[TRAINING_EXAMPLES.name]
    found = ctx.lake.history(TRAINING_EXAMPLES)
    return next(publish for publish in found if publish.version <= version and str(ctx.ds) in publish.days)


@contextmanager
def training_run(
    ctx: JobContext,
    experiment: str,
    key: str,
    ranker: Ranker,
    report: FitReport,
    parameters: Mapping[str, Any],
    rounds: int,
    changes: Mapping[str, object] | None = None,
    name: str = "",
) -> Iterator[ActiveRun]:
    """Yields the run of a training with all that is known once `ranker` is fitted: parameters, data, figures, plots.

    `parameters` and `rounds` are what it was fitted with, `changes` further parameters of an experiment.
    """
    from features.catalog import feature_set

    settings = ctx.settings
    params = {
        "recipe": ctx.recipe.name,
        "ds": ctx.ds,
        "seed": settings.seed,
        "train_workers": settings.train_workers,
        "heads": len(ranker.heads),
        "features": len(ranker.features),
        "feature_set": feature_set(),
        "rounds_at_most": rounds,
        "train_rows": report.train_rows,
        "stop_rows": report.stop_rows,
        "calibrate_rows": report.calibrate_rows,
        "model": ranker.model_id,
        **{f"split.{name}": days for name, days in vars(settings.split).items()},
        **{f"lightgbm.{name}": value for name, value in parameters.items()},
        **(changes or {}),
    }
    about = {"recipe": ctx.recipe.name, "ds": str(ctx.ds)}
    tags = about | {f"reads.{table}": str(version) for table, version in ctx.reads.items()}
    tags |= {"recipe_hash": ctx.recipe.hash, "notes": "; ".join(report.notes)}
    if commit := tracking.commit():
        tags["git_commit"] = commit
    with tracking.run(settings, experiment, key, params=params, tags=tags, name=name) as active:
        tracking.log_tables(settings, active, settings.lake, [training_set(ctx)])
        _log_fit(ctx, active, ranker, report, about)
        yield active


def _log_fit(ctx: JobContext, active: ActiveRun, ranker: Ranker, report: FitReport, about: Mapping[str, str]) -> None:
    import math

    import mlflow

    from models import plots

    figures = {f"validate.{one.head}.{name}": value for one in report.heads for name, value in _figures(one).items()}
    mlflow.log_metrics({name: value for name, value in figures.items() if not math.isnan(value)})
    mlflow.log_figure(plots.importance({one.head: one.importance for one in report.heads}), "importance.png")
    units = {head.name: head.unit for head in HEADS}
    children = []
    for one in report.heads:
        curves = {"before calibration": one.curves[0], "calibrated": one.curves[1]}
        lifts = {"calibrated": one.lift}
        seen = plots.head(f"{one.head}: calibration slice", units[one.head], curves, lifts, one.importance)
        children.append(
            tracking.Child(
                one.head,
                params={
                    "head": one.head,
                    "calibration": one.calibration,
                    "averaged_with": one.averaged or "nothing",
                    "model": ranker.model_id,
                    **about,
                },
                metrics={f"validate.{name}": value for name, value in _figures(one).items()},
                tags={"head": one.head, "unit": units[one.head], **about},
                figures={"validate.png": seen},
            )
        )
    tracking.log_children(ctx.settings, active, children)


def _figures(one: HeadReport) -> dict[str, float]:
    return {
        "rounds": one.rounds,
        "loss_before_calibration": one.loss_before,
        "loss": one.loss_after,
        "calibration_ratio_before": one.ratio_before,
        "calibration_ratio": one.ratio_after,
    }


def log_test(
    ctx: JobContext, active: ActiveRun, rows: Examples, challenger: NDArray[np.float64], figures: Figures
) -> None:
    """Logs what all systems scored on the test days, `rows`, to the training's run and to its heads' children.

    `challenger` are its calibrated predictions (rows, heads in the order of HEADS), NaN for a head that it lacks.
    """
    import mlflow
    import numpy as np
    import pandas as pd

    from models import metrics, plots
    from models.lift import lift

    named: dict[tuple[str, str, str], float] = {}
    for (system, ranked, metric), figure in figures.items():
        found = {"": figure.value, ".low": figure.low, ".high": figure.high}
        name = metric.replace("@", "_at_")
        named |= {(system, ranked, name + end): value for end, value in found.items() if value is not None}
    mlflow.log_metrics({f"test.{'.'.join(key)}": value for key, value in named.items()})
    children = []
    for column, head in enumerate(HEADS):
        labels, predicted = rows.label(head.label).astype(np.float64), challenger[:, column]
        there = ~np.isnan(labels) & ~np.isnan(predicted)
        if there.any():
            curves = {"test days": metrics.reliability(labels[there], predicted[there])}
            lifts = {"test days": lift(labels[there], predicted[there])}
            children.append(
                tracking.Child(
                    head.name,
                    metrics={
                        f"test.{system}.{metric}": value
                        for (system, of_head, metric), value in named.items()
                        if of_head == head.name
                    },
                    figures={"test.png": plots.head(f"{head.name}: test days", head.unit, curves, lifts)},
                )
            )
    tracking.log_children(ctx.settings, active, children)
    table = pd.DataFrame(
        [(*key, figure.value, figure.low, figure.high) for key, figure in sorted(figures.items())],
        columns=["system", "head", "metric", "value", "low", "high"],
    )
    mlflow.log_text(table.to_csv(index=False), "evaluation.csv")
    mlflow.log_text(table.to_html(index=False, float_format="%.4f", na_rep=""), "evaluation.html")
