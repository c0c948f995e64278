"""What every table promises: documented, frozen, keyed, written by exactly one job."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.table import Table
from jobs._registry import all_jobs, all_tables

GOLDEN = Path(__file__).parent.parent / "golden" / "tables.txt"
TABLES = list(all_tables().values())


def frozen() -> str:
    """Returns name, key and DDL of all tables, as the golden file holds them."""
    return "".join(f"{table.name} ({', '.join(table.key)})\n  {table.ddl}\n" for table in TABLES)


def test_the_schemas_are_those_reviewed() -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(frozen(), "utf-8")
    assert frozen() == GOLDEN.read_text("utf-8"), "a schema changed: review it, then run `make golden`"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_column_is_documented_and_the_key_exists(table: Table) -> None:
    assert table.doc.strip()
    assert table.owner.strip()
    assert all(column.doc.strip().endswith(".") for column in table.columns), table.name
    assert set(table.key) <= set(table.column_names)
    assert len(set(table.column_names)) == len(table.column_names)
    assert {check.column for check in table.checks} <= set(table.column_names)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_exactly_one_job_writes_it(table: Table) -> None:
    writers = [job.name for job in all_jobs().values() if table in (*job.writes, *job.keeps)]
    assert len(writers) == 1, f"{table.name} is written by {writers}"
