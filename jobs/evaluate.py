"""Scores the challenger on the test days beside the champion, popularity, chance, the ceiling and a placebo."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from core.config import load
from core.errors import MissingDataError, ReelfeedError
from core.job import Job, JobContext
from core.settings import CONF
from core.tables.cohort_calibrations import TABLE as COHORT_CALIBRATIONS
from core.tables.cohort_differences import TABLE as COHORT_DIFFERENCES
from core.tables.evaluations import TABLE as EVALUATIONS
from core.tables.rankers import TABLE as RANKERS
from core.tables.training_examples import TABLE as TRAINING_EXAMPLES
from core.tables.videos import TABLE as VIDEOS
from jobs._training_runs import log_test, training_set
from jobs.train_ranker import COLUMNS, EXPERIMENT, run_key
from models.gate import Gate
from models.heads import head_labels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models.cohort_differences import CohortDifference
    from models.cohorts import CohortCalibration
    from models.examples import Examples

log = logging.getLogger("reelfeed")


def run(ctx: JobContext) -> None:
    """Publishes how the challenger did for `ctx.ds`, overall and by cohort, and logs it to the run that trained it."""
    import mlflow

    from core import tracking
    from core.lake import spark_schema
    from features.catalog import feature_names, neutral_values
    from models import registry
    from models.cohort_differences import differences
    from models.cohorts import calibrations, cohorts
    from models.evaluation import change_figures, check_frozen, head_figures, list_figures, predict
    from models.examples import at_scoring, examples
    from models.model_card import Trained, model_card

    names = feature_names()
    rows = examples(ctx.read_arrow(TRAINING_EXAMPLES, COLUMNS), ("test",), len(names), head_labels())
    check_frozen(rows)
    rows = replace(rows, features=at_scoring(rows.features, neutral_values()))
    trained = tonights_ranker(ctx)
    challenger = registry.load_version(ctx.settings, ctx.recipe.name, trained["version"])
    predictions = {"challenger": predict(challenger, rows, names)}
    champion = _champion(ctx, rows, names, challenger.model_id)
    if champion is not None:
        predictions["champion"] = champion
    seed = ctx.settings.seed
    figures = list_figures(rows, predictions, seed) | head_figures(rows, predictions)
    figures |= change_figures(rows, predictions, ctx.recipe.value, seed)
    groups = cohorts(rows, names, _tags(ctx, rows))
    held = calibrations(rows, predictions["challenger"], groups)
    least = load(Gate, CONF / "gate.toml").cohort_rows
    differ = () if champion is None else differences(rows, predictions["challenger"], champion, groups, least, seed)
    users = len(set(rows.user.tolist()))
    counts = (trained["train_rows"], trained["validate_rows"], len(rows.user), users)
    subject = Trained(challenger, ctx.recipe, ctx.ds, training_set(ctx), *counts)
    card = model_card(subject, ctx.settings, figures, held)
    with tracking.run(ctx.settings, EXPERIMENT, run_key(ctx)) as active:
        log_test(ctx, active, rows, predictions["challenger"], figures)
        mlflow.log_text(card, "model_card.md")
        _log_cohorts("cohort_calibrations", held)
        if differ:
            _log_cohorts("cohort_differences", differ)
    name = registry.registered_name(ctx.recipe.name)
    tracking.connect(ctx.settings).update_model_version(name, str(trained["version"]), card)
    published = [
        {
            "recipe": ctx.recipe.name,
            "system": system,
            "head": head,
            "metric": metric,
            "value": figure.value,
            "low": figure.low,
            "high": figure.high,
            "rows": len(rows.user),
            "users": users,
            "ds": ctx.ds,
        }
        for (system, head, metric), figure in sorted(figures.items())
    ]
    ctx.publish(EVALUATIONS, ctx.spark.createDataFrame(published, spark_schema(EVALUATIONS)))
    for table, cohort_rows in ((COHORT_CALIBRATIONS, held), (COHORT_DIFFERENCES, differ)):
        told = [{"recipe": ctx.recipe.name, **asdict(one), "ds": ctx.ds} for one in cohort_rows]
        ctx.publish(table, ctx.spark.createDataFrame(told, spark_schema(table)))


def tonights_ranker(ctx: JobContext) -> dict[str, Any]:
    """Returns tonight's row of table rankers for the recipe; raises MissingDataError where there is none."""
    for row in ctx.read_arrow(RANKERS).to_pylist():
        if row["recipe"] == ctx.recipe.name:
            return dict(row)
    raise MissingDataError(
        f"no ranker was trained for recipe {ctx.recipe.name!r} on {ctx.ds}",
        where="table rankers",
        next_step=f"reelfeed run train_ranker --recipe {ctx.recipe.name} --ds {ctx.ds}",
    )


def _champion(ctx: JobContext, rows: Examples, names: tuple[str, ...], challenger: str) -> NDArray[np.float64] | None:
    """Returns the champion's predictions; None on the first night, and where it is the `challenger` or cannot score."""
    from models import registry
    from models.evaluation import predict

    version = registry.champion_version(ctx.settings, ctx.recipe.name, before=ctx.ds)
    if version is None:
        return None
    try:
        champion = registry.load_servable(ctx.settings, ctx.recipe.name, version, names)
    except ReelfeedError as error:
        log.warning("evaluate: the champion can no longer score, and nothing is compared with it: %s", error.what)
        return None
    return None if champion.model_id == challenger else predict(champion, rows, names)


def _tags(ctx: JobContext, rows: Examples) -> NDArray[np.int64]:
    """Returns the first tag of every row's video, -1 where it has none."""
    import numpy as np

    videos = ctx.read_arrow(VIDEOS, ["video_id", "tag_id"]).sort_by("video_id")
    if not videos.num_rows:
        return np.full(len(rows.video), -1)
    ids, tags = videos["video_id"].to_numpy(), videos["tag_id"].fill_null(-1).to_numpy()
    place = np.minimum(np.searchsorted(ids, rows.video), len(ids) - 1)
    return np.where(ids[place] == rows.video, tags[place], -1).astype(np.int64)


def _log_cohorts(name: str, by_cohort: Sequence[CohortCalibration | CohortDifference]) -> None:
    import mlflow
    import pandas as pd

    table = pd.DataFrame([asdict(one) for one in by_cohort])
    mlflow.log_text(table.to_csv(index=False), f"{name}.csv")
    mlflow.log_text(table.to_html(index=False, float_format="%.3f"), f"{name}.html")


JOB = Job(
    name="evaluate",
    doc=__doc__,
    owner="feed-ranking",
    reads=(TRAINING_EXAMPLES, RANKERS, VIDEOS),
    writes=(EVALUATIONS, COHORT_CALIBRATIONS, COHORT_DIFFERENCES),
    run=run,
)
