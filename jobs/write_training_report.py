"""Writes the training down as a page: the decision and its reasons, the ranker's figures, calibration, drift, sources.

The page is `reports/RECIPE/training_DAY.html` below the home, which the task's log names whole. In
[MLflow](http://127.0.0.1:5000) (`make ui`), experiment `train_models`, the training's run shows it as `report.html`.
"""

from __future__ import annotations

from datetime import date

from core.job import Job, JobContext
from core.lake import Lake
from core.recipe import Recipe
from core.settings import Settings
from core.tables.cohort_calibrations import TABLE as COHORT_CALIBRATIONS
from core.tables.evaluations import TABLE as EVALUATIONS
from core.tables.feature_drift import TABLE as FEATURE_DRIFT
from core.tables.promotions import TABLE as PROMOTIONS
from core.tables.source_quality import TABLE as SOURCE_QUALITY
from jobs._report_models import calibration, decision, drift, ranker, sources, trade_off
from jobs._report_page import log_to_mlflow, page, path, section, write
from jobs.train_ranker import EXPERIMENT


def run(ctx: JobContext) -> None:
    """Writes the page of `ctx.ds`'s training, and logs it to the training's run in MLflow where that answers."""
    target = path(ctx.settings, ctx.recipe, "training", ctx.ds)
    html = training_page(ctx.settings, ctx.ds, ctx.recipe)
    write(target, html)
    log_to_mlflow(ctx, EXPERIMENT, html, {"report": str(target)}, {}, {})


def training_page(settings: Settings, ds: date, recipe: Recipe) -> str:
    """Returns the newest training until `ds` as one HTML page."""
    lake = Lake(settings.lake)
    sections = [
        section("Who is champion", lambda: decision(lake, ds, recipe)),
        section("The ranker", lambda: ranker(lake, ds, recipe)),
        section("Calibration", lambda: calibration(lake, ds, recipe)),
        section("Drift of features", lambda: drift(lake, ds)),
        section("Candidate sources", lambda: sources(lake, ds, recipe)),
        section("Value weights", lambda: trade_off(settings, ds, recipe)),
    ]
    return page(f"Training of {ds}", f"Recipe {recipe.name} ({recipe.hash})", sections)


JOB = Job(
    name="write_training_report",
    doc=__doc__,
    owner="feed-ranking",
    reads=(EVALUATIONS, COHORT_CALIBRATIONS, PROMOTIONS, SOURCE_QUALITY, FEATURE_DRIFT),
    writes=(),
    run=run,
)
