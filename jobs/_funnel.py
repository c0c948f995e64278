"""What went through every stage of a night, and how long it took."""

from __future__ import annotations

from datetime import date

from core.lake import Lake, Publish
from core.table import Table
from core.tables.candidates import TABLE as CANDIDATES
from core.tables.feeds import TABLE as FEEDS
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.quarantined_impressions import TABLE as QUARANTINED
from core.tables.scored_candidates import TABLE as SCORED_CANDIDATES
from core.tables.source_models import TABLE as SOURCE_MODELS
from features.catalog import all_groups

FUNNEL: tuple[tuple[str, tuple[Table, ...]], ...] = (
    ("impressions", (IMPRESSIONS,)),
    ("refused", (QUARANTINED,)),
    ("feature rows", tuple(group.snapshot for group in all_groups().values())),
    ("source models", (SOURCE_MODELS,)),
    ("candidates", (CANDIDATES,)),
    ("scored", (SCORED_CANDIDATES,)),
    ("feed slots", (FEEDS,)),
)


def funnel(lake: Lake, ds: date) -> list[tuple[str, int, float]]:
    """Returns stage, rows published for `ds`, and seconds until they were, for every stage that was published."""
    found = []
    for label, tables in FUNNEL:
        publishes = [publish for table in tables if (publish := _publish_of(lake, table, ds))]
        if publishes:
            rows = sum(publish.days[str(ds)].rows for publish in publishes)
            found.append((label, rows, max(publish.seconds for publish in publishes)))
    return found


def _publish_of(lake: Lake, table: Table, ds: date) -> Publish | None:
    return next((publish for publish in lake.history(table) if str(ds) in publish.days), None)
