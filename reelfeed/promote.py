"""`reelfeed promote`: people put a model in the champion's place, with a reason that the ledger keeps."""

from __future__ import annotations

from datetime import date, timedelta

from core.errors import UsageError
from core.job import JobContext
from core.lake import Lake
from core.recipe import Recipe
from core.settings import Settings
from core.tables.impressions import TABLE as IMPRESSIONS
from features.catalog import feature_names
from jobs.promote import JOB, ledger, write


def promote(settings: Settings, recipe: Recipe, version: int, ds: date, reason: str) -> str:
    """Makes `version` champion of `recipe` after the night `ds`, whatever the gate said, and returns what it did.

    Raises UsageError for an empty `reason`, a version that is not registered or is champion already, and a day before
    the last decision or after the lake's last day; MissingDataError or ContractError where the model no longer scores.
    """
    from models import registry

    reason = " ".join(reason.split())
    if not reason:
        raise UsageError("a model is put in place only with a reason", next_step='--reason "why the gate is overruled"')
    known = registry.versions(settings, recipe.name)
    if version not in known:
        raise UsageError(
            f"no ranker version {version} of {recipe.name!r}",
            where=f"registered model {registry.registered_name(recipe.name)}",
            choices=sorted(known) or ["none: train one first"],
            next_step=f"reelfeed promote --recipe {recipe.name} --model VERSION",
        )
    _check_day(settings, recipe, ds)
    before = registry.champion_version(settings, recipe.name)
    if version == before:
        raise UsageError(f"version {version} of {recipe.name!r} is champion already")
    registry.load_servable(settings, recipe.name, version, feature_names())
    context = JobContext(JOB, (ds,), settings, recipe, "", "", Lake(settings.lake))
    decided = ledger(context)
    row = {
        "recipe": recipe.name,
        "number": 1 + max((one["number"] for one in decided if one["recipe"] == recipe.name), default=0),
        "decision": "overridden",
        "champion": known[version],
        "champion_version": version,
        "challenger": known[version],
        "reasons": [reason],
        "ds": ds,
    }
    write(context, [*decided, row])
    place = f"in place of version {before}" if before else "where there was none"
    return (
        f"version {version} ({known[version]}) is champion of {recipe.name}, {place}, since: {reason}\n"
        f"Feeds from {ds + timedelta(days=1)} on are scored with it, until the gate promotes another."
    )


def _check_day(settings: Settings, recipe: Recipe, ds: date) -> None:
    from models.registry import last_decided

    decided = last_decided(settings, recipe.name)
    if decided is not None and ds < decided:
        raise UsageError(
            f"the champion of {recipe.name!r} was last decided on {decided}: a decision on {ds} would change nothing",
            next_step=f"--ds {decided}, or a later day",
        )
    days = Lake(settings.lake).days(IMPRESSIONS)
    if days and ds > days[-1]:
        # The nights until then would decide in vain: the champion follows the newest day on record.
        raise UsageError(f"{ds} has not come: the lake ends with {days[-1]}", next_step=f"--ds {days[-1]}")
