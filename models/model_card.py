"""A ranker's model card: what it is, what it was made of, how far it may be trusted; Markdown for people.

After Mitchell et al. 2019, Model Cards for Model Reporting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from core.lake import Publish
from core.recipe import Recipe
from core.settings import Settings
from models.estimate import Figures
from models.gate import EVERYONE, HEAD
from models.heads import HEADS
from models.ranker import Ranker

if TYPE_CHECKING:
    from models.cohorts import CohortCalibration

SYSTEMS = ("challenger", "champion", "popularity", "random", "oracle", "placebo")
DIFFERENCES = ("challenger_minus_champion", "challenger_minus_popularity")
LIST_METRICS = ("gauc", "ndcg@5", "primary")
HEAD_METRICS = ("auc", "log_loss", "rmse")
FREQUENT = 1000
"""Positives (or seconds) on the test days, and rows of a cohort, below which figures are told as uncertain."""
COHORTS_NAMED = 5


@dataclass(frozen=True)
class Trained:
    """A ranker and what it came of: the publish of table training_examples for `ds`, and rows by part.

    `users` are those of the test part.
    """

    ranker: Ranker
    recipe: Recipe
    ds: date
    data: Publish
    train_rows: int
    validate_rows: int
    test_rows: int
    users: int


def model_card(
    trained: Trained, settings: Settings, figures: Figures, calibrations: Sequence[CohortCalibration]
) -> str:
    """Returns the card of `trained`, whose `figures` and `calibrations` are of the test days."""
    recipe, ranker = trained.recipe, trained.ranker
    split, partition = settings.split, trained.data.days[str(trained.ds)]
    lines = [
        f"# Ranker {ranker.model_id}",
        f"For feed `{recipe.name}`, trained on {trained.ds}: small boosted trees (LightGBM), each calibrated, on "
        f"{len(ranker.features)} features, seed {settings.seed}. Predicts {', '.join(ranker.heads)}. Its predictions "
        "order a user's candidates; it does not choose them.",
        *[
            f"Of {model.head} it is the mean of its trees' log odds and of feature {model.averaged}."
            for model in ranker.models
            if model.averaged
        ],
        "## Data",
        f"Table `training_examples`, ds {trained.ds}, version {trained.data.version}, content `{partition.hash}`, "
        f"{partition.rows:,} rows: {trained.train_rows:,} to train, {trained.validate_rows:,} to validate, "
        f"{trained.test_rows:,} of {trained.users:,} users to test.",
        "## Split",
        f"By the day of the showing: the last {split.test_days} days test, the {split.validate_days} before validate "
        f"(the earlier half stops boosters, the later calibrates), the rest but {split.warm_up_days} trains; rows "
        f"younger than {split.embargo_hours} h at a part's end are dropped. Test lists have the features of their eve.",
        f"## Order of lists, by {HEAD}",
        *_lists(figures),
        "## Predictions on the test days",
        *_predictions(ranker, figures, calibrations),
        "## Limits",
        *_limits(ranker, calibrations),
        "## Recipe",
        f"`{recipe.name}`, hash `{recipe.hash}`: {recipe.length} videos of {recipe.candidates} candidates; value = "
        + " ".join(f"{weight:+g} {head}" for head, weight in recipe.value.items() if weight)
        + "".join(f", of {head} ±{share:.0%} from user to user" for head, share in recipe.varied.items())
        + f"; rules {', '.join(use.rule for use in recipe.rules)}.",
    ]
    return "\n".join(f"\n{line}\n" if line.startswith("#") else line for line in lines).strip() + "\n"


def _lists(figures: Figures) -> list[str]:
    there = [system for system in (*SYSTEMS, *DIFFERENCES) if (system, HEAD, LIST_METRICS[0]) in figures]
    if not there:
        return [f"Not judged: head {HEAD} was not trained."]
    rows = [
        [
            system,
            *(figures[system, HEAD, metric].told(sign="+" if "_minus_" in system else "") for metric in LIST_METRICS),
        ]
        for system in there
    ]
    return [*_table(["system", *LIST_METRICS], rows), "95 % intervals, bootstrap over users; differences are paired."]


def _predictions(ranker: Ranker, figures: Figures, calibrations: Sequence[CohortCalibration]) -> list[str]:
    everyone = {one.head: one for one in calibrations if one.cohort == EVERYONE}
    rows = []
    for head in ranker.heads:
        for system in ("challenger", "popularity"):
            found = {metric: figures.get((system, head, metric)) for metric in HEAD_METRICS}
            if not any(found.values()):
                continue
            told = [figure.told() if (figure := found[metric]) else "" for metric in HEAD_METRICS]
            ratio = figures.get((system, head, "calibration_ratio"))
            held = everyone.get(head) if system == "challenger" else None
            within = f" [{held.low:.3f}, {held.high:.3f}]" if held else ""
            rows.append([f"{head}{'' if system == 'challenger' else ', popularity'}", *told])
            rows[-1].append(f"{ratio.value:.3f}{within}" if ratio else "")
    return _table(["head", *HEAD_METRICS, "predicted / observed"], rows)


def _limits(ranker: Ranker, calibrations: Sequence[CohortCalibration]) -> list[str]:
    kinds = {head.name: head.kind for head in HEADS}
    blind = [model.head for model in ranker.models if not model.booster]
    rare = [
        f"{one.head} ({one.observed:.0f})"
        for one in calibrations
        if one.cohort == EVERYONE and kinds[one.head] == "binary" and one.observed < FREQUENT
    ]
    off = sorted(
        (one for one in calibrations if one.rows >= FREQUENT and not one.low <= 1 <= one.high),
        key=lambda one: -abs(one.ratio - 1),
    )
    named = [f"{one.head} for {one.cohort} {one.ratio:.2f} [{one.low:.2f}, {one.high:.2f}]" for one in off]
    return [
        "- Judged on what past feeds showed: how it orders that, not what it would have shown. One split, one seed.",
        "- What is known only at a request (the session) is scored at a neutral value.",
        *([f"- Nothing to learn from, a constant: {', '.join(blind)}."] if blind else []),
        *([f"- Fewer than {FREQUENT:,} positives on the test days, so uncertain: {', '.join(rare)}."] if rare else []),
        *([f"- Shown to be off: {'; '.join(named[:COHORTS_NAMED])}; {len(named)} in all."] if named else []),
    ]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)] + [""]
