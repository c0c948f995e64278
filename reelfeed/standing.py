"""Whether the feeds of a night are those that are served now, and if not, since when and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from core.lake import Lake
from core.tables.feeds import TABLE as FEEDS
from jobs._publications import Decision, ledger, served, why_withheld

SERVED, WITHHELD, ROLLED_BACK, REPLACED, UNDECIDED = "served", "withheld", "rolled back", "replaced", "undecided"


@dataclass(frozen=True)
class Standing:
    """What the ledger says of a night's feeds as they stand in table feeds. `state` is one of the words above; `by` the
    decision that made it so, None where there is none; `now` the decision that is served, None before the first."""

    state: str
    by: Decision | None
    now: Decision | None


def standing(lake: Lake, recipe: str, ds: date) -> Standing:
    """Returns how the feeds of `recipe` and the night `ds` stand. Feeds that were built again with other content since
    they were decided about are undecided."""
    decisions = ledger(lake, recipe)
    now, there = served(decisions), lake.partitions(FEEDS, [ds]).get(str(ds))
    own = [row for row in decisions if row["feeds_ds"] == ds and there and row["content_hash"] == there.hash]
    put_up = [row for row in own if row["action"] != "withheld"]
    if now in put_up:
        return Standing(SERVED, now, now)
    if put_up:
        after = next(row for row in decisions if row["number"] > put_up[-1]["number"] and row["action"] != "withheld")
        return Standing(ROLLED_BACK if after["action"] == "rolled_back" else REPLACED, after, now)
    return Standing(WITHHELD, own[-1], now) if own else Standing(UNDECIDED, None, now)


def told(found: Standing) -> list[str]:
    """Returns `found` in words: how these feeds stand and, where others are served, which."""
    by, now = found.by, found.now
    if by is None:
        said = "Nothing was decided about these feeds: publish_feeds has not judged them as they are now."
    else:
        why = "; ".join(why_withheld(by) if found.state == WITHHELD else by["reasons"])
        said = {
            SERVED: f"These feeds are served: {_named(by)}.",
            WITHHELD: f"These feeds were withheld and never served. {why}.",
            ROLLED_BACK: f"These feeds were served and rolled back by decision {by['number']}: {why}.",
            REPLACED: f"These feeds were served until publication {by['number']} took their place.",
        }[found.state]
    if found.state == SERVED:
        return [said]
    return [said, f"Served now: {_named(now)}." if now else "Nothing is served yet."]


def _named(decision: Decision) -> str:
    valid = f"valid from {decision['valid_from']} until {decision['valid_until']}"
    if decision["action"] == "rolled_back":
        again = f"decision {decision['number']}, {'; '.join(decision['reasons'])}"
        return f"publication {decision['origin']}, the feeds of {decision['feeds_ds']}, again ({again}), {valid}"
    return f"publication {decision['number']}, the feeds of {decision['feeds_ds']}, {valid}"
