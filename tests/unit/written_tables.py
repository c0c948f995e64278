"""Rows of a few columns put into the lake as a day of a whole table, without Spark."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, write_deltalake

from core.lake import PROVENANCE, Lake
from core.table import Table

TYPES = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
}
EMPTY: dict[str, Any] = {"string": "", "boolean": False, "timestamp": None, "date": None}


def write(
    lake: Lake, table: Table, day: date, rows: Sequence[Mapping[str, Any]], seconds: float = 1.0, content: str = ""
) -> None:
    """Writes `rows` as the partition `day` of `table`; a column that they lack is null, empty, false or 0.

    `content` stands for the hash of the rows, else the day does.
    """
    schema = pa.schema([(column.name, _arrow(column.type)) for column in table.all_columns])
    default = {
        column.name: None if column.nullable else [] if column.type[:5] == "array" else EMPTY.get(column.type, 0)
        for column in table.columns
    }
    filled = [{**default, **row, "ds": day} for row in rows]
    record = {"job": "test", "seconds": seconds, "days": {str(day): {"rows": len(rows), "hash": content or str(day)}}}
    told = json.dumps({**record, "reads": {}, "notes": []})
    write_deltalake(
        lake.path(table),
        pa.Table.from_pylist(filled, schema),
        mode="overwrite" if lake.exists(table) else "append",
        predicate=f"ds = '{day}'" if lake.exists(table) else None,
        partition_by=["ds"],
        commit_properties=CommitProperties(custom_metadata={PROVENANCE: told}),
    )


def _arrow(ddl: str) -> pa.DataType:
    if ddl.startswith("array<"):
        return pa.list_(_arrow(ddl[6:-1]))
    if ddl.startswith("struct<"):
        return pa.struct(
            [(name, _arrow(kind)) for name, _, kind in (one.partition(":") for one in ddl[7:-1].split(","))]
        )
    return TYPES[ddl]
