"""`reelfeed weights`: looks for value weights on validation days, judges them on test days, shows the trade-off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from core.errors import MissingDataError
from core.lake import Lake
from core.recipe import Recipe
from core.settings import Settings
from core.tables.training_examples import TABLE as TRAINING_EXAMPLES
from jobs.train_ranker import COLUMNS
from models.estimate import Estimate
from models.gate import HEAD
from models.heads import HEADS, head_labels, head_names
from models.value_search import Lists, Trial, best, differences, front, long_enough, search

if TYPE_CHECKING:
    from models.ranker import Ranker

EXPERIMENT = "value_weights"


def look_for_weights(
    settings: Settings, recipe: Recipe, ds: date, objective: str, tolerance: float, trials: int
) -> str:
    """Returns the weights found for `recipe` as text, and logs them with the trade-off curve to MLflow.

    They are searched on the validation days of the training set of `ds` and judged on its test days. Raises
    MissingDataError where there is no champion or no training set.
    """
    import mlflow

    from core import tracking
    from models import plots, registry

    serving = registry.champion(settings, recipe.name)
    if serving is None:
        raise MissingDataError(f"recipe {recipe.name!r} has no champion", next_step="reelfeed run promote --ds …")
    validate, test = (_lists(settings, serving[0], ds, part) for part in ("validate", "test"))
    tried = search(validate, recipe.value, objective, tolerance, trials, settings.seed)
    chosen = best(tried, objective)
    judged = differences(test, chosen.weights, recipe.value, settings.seed)
    other = HEAD if objective != HEAD else "like"
    params = {"recipe": recipe.name, "ds": ds, "objective": objective, "tolerance": tolerance, "trials": trials}
    tags = {"recipe_hash": recipe.hash, "model": serving[0].model_id}
    text = _told(recipe, tried[0], chosen, judged, len(set(test.user.tolist())))
    with tracking.run(settings, EXPERIMENT, f"{recipe.name} {ds} {objective}", params=params, tags=tags):
        mlflow.log_metrics({f"test.{name}.difference": figure.value for name, figure in judged.items()})
        mlflow.log_metrics({f"weight.{name}": weight for name, weight in chosen.weights.items()})
        mlflow.log_text(text, "weights.txt")
        points = {
            "beyond the guardrails": [one.given for one in tried if not one.is_within],
            "within": [one.given for one in tried if one.is_within],
            "no other is better in both": [one.given for one in front(tried, objective, other)],
            "the recipe's": [tried[0].given],
            "chosen": [chosen.given],
        }
        mlflow.log_figure(plots.trade_off(points, objective, other), "trade_off.png")
    return text


def _lists(settings: Settings, ranker: Ranker, ds: date, part: str) -> Lists:
    import numpy as np

    from features.catalog import feature_names, neutral_values
    from models.evaluation import predict
    from models.examples import at_scoring, examples

    table = Lake(settings.lake).read_arrow(TRAINING_EXAMPLES, [ds], list(COLUMNS))
    rows = examples(table, (part,), len(feature_names()), head_labels())
    served = at_scoring(rows.features, neutral_values())
    predictions = predict(ranker, replace(rows, features=served), feature_names())
    outcomes = np.column_stack([rows.label(head.label) for head in HEADS]).astype(np.float64)
    return long_enough(Lists(rows.user, rows.video, np.nan_to_num(predictions), np.nan_to_num(outcomes)))


def _told(recipe: Recipe, first: Trial, chosen: Trial, judged: Mapping[str, Estimate], users: int) -> str:
    lines = [f"{'head':15} {'now':>9} {'found':>9} {'gave':>9} {'gives':>9}   on test days, {users:,} users: more by"]
    for name in head_names():
        figure = judged[name]
        lines.append(
            f"{name:15} {recipe.value[name]:9.4g} {chosen.weights[name]:9.4g} {first.given[name]:9.4g} "
            f"{chosen.given[name]:9.4g}   {figure.value:+.4g} [{figure.low:+.4g}, {figure.high:+.4g}]"
        )
    lines += ["", f"To try them, copy conf/feeds/{recipe.name}.toml to a recipe of another name, with", "", "[value]"]
    return "\n".join([*lines, *[f"{name} = {weight:.4g}" for name, weight in chosen.weights.items()]])
