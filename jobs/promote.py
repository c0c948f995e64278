"""Decides whether tonight's challenger becomes champion, and writes down why."""

from __future__ import annotations

import logging

from core.config import load
from core.errors import ContractError
from core.job import Job, JobContext
from core.settings import CONF
from core.tables.cohort_calibrations import TABLE as COHORT_CALIBRATIONS
from core.tables.evaluations import TABLE as EVALUATIONS
from core.tables.promotions import TABLE as PROMOTIONS
from core.tables.rankers import TABLE as RANKERS
from jobs.evaluate import tonights_ranker
from jobs.train_ranker import EXPERIMENT, run_key
from models.estimate import Estimate
from models.gate import Gate, decide

log = logging.getLogger("reelfeed")


def run(ctx: JobContext) -> None:
    """Publishes the decision about `ctx.ds`'s challenger and points the registry's aliases by it.

    Raises ContractError where there is no champion yet and the challenger is not good enough to be the first.
    """
    import mlflow

    from core import tracking
    from core.lake import spark_schema
    from models import registry
    from models.cohorts import CohortCalibration

    gate = load(Gate, CONF / "gate.toml")
    challenger = tonights_ranker(ctx)
    figures = {
        (row["system"], row["head"], row["metric"]): Estimate(row["value"], row["low"], row["high"])
        for row in ctx.read_arrow(EVALUATIONS).to_pylist()
        if row["recipe"] == ctx.recipe.name
    }
    calibrations = [
        CohortCalibration(**{name: row[name] for name in CohortCalibration.__dataclass_fields__})
        for row in ctx.read_arrow(COHORT_CALIBRATIONS).to_pylist()
        if row["recipe"] == ctx.recipe.name
    ]
    serving = registry.champion(ctx.settings, ctx.recipe.name, before=ctx.ds)
    decision = decide(gate, figures, calibrations, challenger["model"], serving[0].model_id if serving else None)
    log.info("promote: %s, since %s", decision.decision, "; ".join(decision.reasons))
    if decision.decision == "promoted":
        model, version = challenger["model"], challenger["version"]
    elif serving is not None:
        model, version = serving[0].model_id, serving[1]
    else:
        raise ContractError(
            f"nothing was promoted: {'; '.join(decision.reasons)}",
            where=f"recipe {ctx.recipe.name!r}, ds {ctx.ds}, challenger {challenger['model']}",
            next_step="train on more history, or look at the run in MLflow; feeds stay popular until then",
        )
    row = {
        "recipe": ctx.recipe.name,
        "decision": decision.decision,
        "champion": model,
        "champion_version": version,
        "challenger": challenger["model"],
        "reasons": list(decision.reasons),
        "ds": ctx.ds,
    }
    ctx.publish(PROMOTIONS, ctx.spark.createDataFrame([row], spark_schema(PROMOTIONS)))
    registry.set_champion(ctx.settings, ctx.recipe.name, version, ctx.ds)
    with tracking.run(ctx.settings, EXPERIMENT, run_key(ctx)):
        mlflow.set_tags({"decision": decision.decision, "reasons": "; ".join(decision.reasons)})


JOB = Job(
    name="promote",
    doc=__doc__,
    owner="feed-ranking",
    reads=(RANKERS, EVALUATIONS, COHORT_CALIBRATIONS),
    writes=(PROMOTIONS,),
    run=run,
)
