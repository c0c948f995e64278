"""The ledger of publications: which feeds are served, what was before, and which of it can still be restored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from core.errors import MissingDataError, UsageError
from core.lake import Lake
from core.settings import Settings
from core.tables.fallback_feeds import TABLE as FALLBACK_FEEDS
from core.tables.feeds import TABLE as FEEDS
from core.tables.publications import TABLE as PUBLICATIONS
from models.feed_checks import EXCEEDS

LATE = "late: "
"""Begins the reason of feeds that are older than those served."""

Decision = dict[str, Any]
"""A row of table publications."""


def ledger(lake: Lake, recipe: str) -> list[Decision]:
    """Returns all decisions about `recipe`, in order."""
    return sorted((row for row in every_row(lake) if row["recipe"] == recipe), key=lambda row: row["number"])


def every_row(lake: Lake) -> list[Decision]:
    """Returns all rows of table publications, none where it was never published."""
    if not lake.exists(PUBLICATIONS):
        return []
    version = int(lake.open(PUBLICATIONS).version())
    rows: list[Decision] = lake.read_arrow(PUBLICATIONS, lake.days(PUBLICATIONS, version), version=version).to_pylist()
    return rows


def served(decisions: Sequence[Decision]) -> Decision | None:
    """Returns the newest of `decisions` that did not withhold: its feeds are those to serve. None before the first."""
    return next((row for row in reversed(decisions) if row["action"] != "withheld"), None)


def why_withheld(decision: Decision) -> list[str]:
    """Returns those of the decision's reasons for which it withholds; every check's figure is among its reasons."""
    return [reason for reason in decision["reasons"] if EXCEEDS in reason or reason.startswith(LATE)]


def to_serve(decisions: Sequence[Decision], recipe: str, ds: date) -> Decision:
    """Returns what `served` does; raises MissingDataError where no feeds of `recipe` were ever published."""
    decision = served(decisions)
    if decision is None:
        raise MissingDataError(
            f"no feeds of recipe {recipe!r} were ever published",
            where="table publications",
            next_step=f"reelfeed run build_feed publish_feeds --ds {ds}",
        )
    return decision


def validity(settings: Settings, ds: date) -> dict[str, str]:
    """Returns valid_from and valid_until of a decision made after the night `ds`."""
    begin = datetime.combine(ds + timedelta(days=1), time(settings.publish_hour))
    end = begin + timedelta(hours=settings.serving.ttl_hours)
    return {"valid_from": begin.isoformat(timespec="minutes"), "valid_until": end.isoformat(timespec="minutes")}


def can_be_restored(lake: Lake, decision: Decision) -> bool:
    """Whether all files of the feeds that `decision` published are still there."""
    day = decision["feeds_ds"]
    return lake.is_whole(FEEDS, day, decision["feeds_version"]) and lake.is_whole(
        FALLBACK_FEEDS, day, decision["fallbacks_version"]
    )


def to_restore(lake: Lake, recipe: str, to: str) -> Decision:
    """Returns the publication that `to` names: a number, a night (YYYY-MM-DD: its last), or, empty, the one before.

    Raises UsageError, which names those there are, where it is unknown or its files are gone.
    """
    decisions = ledger(lake, recipe)
    now = served(decisions)
    published = [row for row in decisions if row["action"] == "published"]
    earlier = [row for row in published if now is not None and row["number"] < now["origin"]]
    found = [row for row in published if to in (str(row["number"]), str(row["feeds_ds"]))] if to else earlier
    if found and can_be_restored(lake, found[-1]):
        return found[-1]
    asked = f"publication {to!r}" if to else "publication before the one that is served"
    what = f"the files of the {asked} are gone" if found else f"recipe {recipe!r} has no {asked}"
    choices = [f"{row['number']} ({row['feeds_ds']})" for row in published if can_be_restored(lake, row)]
    raise UsageError(
        what,
        where="table publications",
        choices=choices or ["none"],
        next_step=f"reelfeed rollback --recipe {recipe} --to NUMBER --reason …" if choices else "",
    )
