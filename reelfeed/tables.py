"""Tables for people: what there is, and one table's columns and history."""

from __future__ import annotations

from collections.abc import Mapping

from core.lake import Lake
from core.table import Table

SHOWN = 10


def overview(lake: Lake, tables: Mapping[str, Table]) -> str:
    """Returns one line a table: days there are, version, meaning."""
    lines = []
    for table in tables.values():
        days = lake.days(table)
        there = f"{days[0]} to {days[-1]}, {len(days)} days, version {lake.open(table).version()}" if days else "empty"
        lines.append(f"{table.name:32} {there:52} {table.doc.split(':')[0].strip()}")
    return "\n".join(lines)


def describe(lake: Lake, table: Table) -> str:
    """Returns the declaration of `table` and its newest publishes, as text."""
    lines = [f"{table.name} · {table.owner}", f"  {' '.join(table.doc.split())}", f"  key: {', '.join(table.key)}", ""]
    for column in table.all_columns:
        unit = f" [{column.unit}]" if column.unit else ""
        lines.append(f"  {column.name:20} {column.type:12} {column.doc}{unit}")
    lines.append("")
    for publish in lake.history(table)[:SHOWN]:
        for day, part in sorted(publish.days.items(), reverse=True)[:SHOWN]:
            lines.append(
                f"  version {publish.version:4}  ds {day}  {part.rows:>10,} rows  {part.hash}  by {publish.job}"
            )
    return "\n".join(lines)
