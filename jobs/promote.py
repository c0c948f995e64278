"""Decides whether tonight's challenger becomes champion, and writes down why."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.config import load
from core.errors import ContractError, ReelfeedError
from core.job import Job, JobContext
from core.settings import CONF
from core.table import Table
from core.tables.cohort_calibrations import TABLE as COHORT_CALIBRATIONS
from core.tables.cohort_differences import TABLE as COHORT_DIFFERENCES
from core.tables.evaluations import TABLE as EVALUATIONS
from core.tables.promotions import TABLE as PROMOTIONS
from core.tables.rankers import TABLE as RANKERS
from jobs.evaluate import tonights_ranker
from jobs.train_ranker import EXPERIMENT, run_key
from models.estimate import Estimate
from models.gate import Evidence, Gate, decide

if TYPE_CHECKING:
    from models.scoring_cost import ScoringCost

log = logging.getLogger("reelfeed")


def run(ctx: JobContext) -> None:
    """Publishes the decision about `ctx.ds`'s challenger and points the registry's aliases by it.

    What people decided that day stays decided. Raises ContractError where there is no champion yet and the challenger
    is not good enough to be the first, and where the champion no longer loads: nothing is decided then.
    """
    import mlflow

    from core import tracking
    from models import registry
    from models.scoring_cost import scoring_cost

    gate, recipe = load(Gate, CONF / "gate.toml"), ctx.recipe.name
    challenger = tonights_ranker(ctx)
    serving = registry.champion_version(ctx.settings, recipe, before=ctx.ds)
    champion, days = None, 0
    if serving is not None:
        champion = registry.versions(ctx.settings, recipe).get(serving)
        days = (ctx.ds - registry.first_served(ctx.settings, recipe, serving)).days
        if champion != challenger["model"]:
            _check_champion(ctx, serving, challenger["version"])
    cost = scoring_cost(registry.load_version(ctx.settings, recipe, challenger["version"]), ctx.settings.seed)
    decision = decide(gate, _evidence(ctx, cost, days), challenger["model"], champion)
    log.info("promote: %s, since %s", decision.decision, "; ".join(decision.reasons))
    log.info("promote: scoring took %.1f microseconds of processor time a row", cost.microseconds)
    if decision.decision == "promoted":
        model, version = challenger["model"], challenger["version"]
    elif champion is not None and serving is not None:
        model, version = champion, serving
    else:
        raise ContractError(
            f"nothing was promoted: {'; '.join(decision.reasons)}",
            where=f"recipe {recipe!r}, ds {ctx.ds}, challenger {challenger['model']}",
            next_step="train on more history, or look at the run in MLflow; feeds stay popular until then",
        )
    row = {
        "recipe": recipe,
        "number": 0,
        "decision": decision.decision,
        "champion": model,
        "champion_version": version,
        "challenger": challenger["model"],
        "reasons": list(decision.reasons),
        "ds": ctx.ds,
    }
    others = [one for one in ledger(ctx) if (one["recipe"], one["number"]) != (recipe, 0)]
    write(ctx, [row, *others])
    with tracking.run(ctx.settings, EXPERIMENT, run_key(ctx)):
        mlflow.set_tags({"decision": decision.decision, "reasons": "; ".join(decision.reasons)})
        mlflow.log_metrics({"scoring.microseconds": cost.microseconds, "scoring.megabytes": cost.megabytes})


def ledger(ctx: JobContext) -> list[dict[str, Any]]:
    """Returns the decisions of `ctx.ds`, of every recipe, as rows of table promotions."""
    return ctx.read_arrow(PROMOTIONS).to_pylist() if ctx.ds in ctx.days_of(PROMOTIONS) else []


def write(ctx: JobContext, decisions: Sequence[dict[str, Any]]) -> None:
    """Publishes `decisions`, all of `ctx.ds`, and points the aliases of the recipe by its own."""
    from core.lake import spark_schema
    from models import registry

    ctx.publish(PROMOTIONS, ctx.spark.createDataFrame(list(decisions), spark_schema(PROMOTIONS)))
    ours = sorted((one for one in decisions if one["recipe"] == ctx.recipe.name), key=lambda one: one["number"])
    first, *then = (one["champion_version"] for one in ours)
    registry.set_champion(ctx.settings, ctx.recipe.name, first, ctx.ds, then=then)


def _check_champion(ctx: JobContext, version: int, challenger: int) -> None:
    """Raises ContractError where the champion `version` cannot score, and so was compared with nothing."""
    from features.catalog import feature_names
    from models.registry import load_servable, registered_name

    recipe = ctx.recipe.name
    try:
        load_servable(ctx.settings, recipe, version, feature_names())
    except ReelfeedError as error:
        raise ContractError(
            f"the champion can no longer score: {error.what}; nothing was decided and no alias was moved",
            where=f"registered model {registered_name(recipe)}, version {version}",
            next_step="restore it and run evaluate and promote again, or put another in its place: "
            f'reelfeed promote --recipe {recipe} --model {challenger} --ds {ctx.ds} --reason "…"',
        ) from None


def _evidence(ctx: JobContext, cost: ScoringCost, champion_days: int) -> Evidence:
    from models.cohort_differences import CohortDifference
    from models.cohorts import CohortCalibration

    def ours(table: Table) -> list[dict[str, Any]]:
        """Returns what the recipe's rows say, beside whose and when."""
        rows = [row for row in ctx.read_arrow(table).to_pylist() if row["recipe"] == ctx.recipe.name]
        return [{name: value for name, value in row.items() if name not in ("recipe", "ds")} for row in rows]

    figures = {
        (row["system"], row["head"], row["metric"]): Estimate(row["value"], row["low"], row["high"])
        for row in ours(EVALUATIONS)
    }
    calibrations = [CohortCalibration(**row) for row in ours(COHORT_CALIBRATIONS)]
    differences = [CohortDifference(**row) for row in ours(COHORT_DIFFERENCES)]
    return Evidence(figures, calibrations, differences, cost, champion_days)


JOB = Job(
    name="promote",
    doc=__doc__,
    owner="feed-ranking",
    reads=(RANKERS, EVALUATIONS, COHORT_CALIBRATIONS, COHORT_DIFFERENCES, PROMOTIONS),
    writes=(PROMOTIONS,),
    run=run,
)
