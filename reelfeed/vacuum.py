"""`reelfeed vacuum`: files of old versions go, but of none that is served or can be rolled back to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from core.lake import Lake
from core.settings import Settings
from core.table import Table
from core.tables.fallback_feeds import TABLE as FALLBACK_FEEDS
from core.tables.feeds import TABLE as FEEDS
from jobs._publications import every_row, ledger, served


def vacuum(settings: Settings, tables: Mapping[str, Table]) -> list[str]:
    """Deletes the files of `tables` that no version of the last `rollback_days` names; returns a line a table.

    Of feeds, those that are served and all that were published in the newest `rollback_days` nights stay, however often
    their nights were published again.
    """
    lake, days = Lake(settings.lake), timedelta(days=settings.serving.rollback_days)
    rows = every_row(lake)
    newest = max((row["ds"] for row in rows), default=None)
    recipes = {row["recipe"] for row in rows}
    kept = [row for name in recipes if (row := served(ledger(lake, name)))]
    kept += [row for row in rows if newest and row["feeds_ds"] > newest - days]
    columns = {FEEDS.name: "feeds_version", FALLBACK_FEEDS.name: "fallbacks_version"}
    told = []
    for name, table in tables.items():
        if lake.exists(table):
            keep = [row[columns[name]] for row in kept] if name in columns else []
            told.append(f"{name}: {len(lake.vacuum(table, days, keep)):,} files deleted")
    return told
