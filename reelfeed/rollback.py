"""`reelfeed rollback`: an earlier publication of feeds is served again, and the ledger says why."""

from __future__ import annotations

from dataclasses import replace

from core.lake import Lake
from core.recipe import Recipe
from core.run import Request, run_jobs
from core.settings import Settings
from core.tables.publications import TABLE as PUBLICATIONS
from jobs._publications import ledger, served, to_restore, validity
from jobs._registry import all_jobs

ONE_MACHINE = "local[*]"


def roll_back(settings: Settings, recipe: Recipe, to: str, reason: str) -> str:
    """Serves the publication `to` again (its number, its night, or empty: the one before), and returns what was done.

    The ledger says so first, in one commit of one row; then the store is switched to the feeds that it still holds, or
    is handed them anew. Asked for what is served already, it only sees to the store. Spark runs on this machine,
    whatever the profile: a cluster may be what failed. Raises UsageError where `to` is unknown or its files are gone,
    StoreError where the store does not answer.
    """
    lake = Lake(settings.lake)
    wanted = to_restore(lake, recipe.name, to)
    decisions = ledger(lake, recipe.name)
    now = served(decisions)
    assert now is not None  # Else there were nothing to restore.
    settings = replace(settings, spark=replace(settings.spark, master=ONE_MACHINE))
    ds = decisions[-1]["ds"]
    if now["origin"] != wanted["number"]:
        row = {
            **wanted,
            "number": decisions[-1]["number"] + 1,
            "action": "rolled_back",
            "origin": wanted["number"],
            "reasons": [reason],
            **validity(settings, ds),
            "previous": now["number"],
            "ds": ds,
        }
        lake.append(PUBLICATIONS, ds, [row], job="rollback")
    run_jobs(all_jobs(), ["export_feeds"], Request(ds, ds, recipe, "simulated", ""), settings)
    return (
        f"recipe {recipe.name}: publication {wanted['number']}, the feeds of {wanted['feeds_ds']}, is served again "
        f"instead of {now['number']} of {now['feeds_ds']}: {reason}"
    )
