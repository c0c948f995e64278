"""A table's declaration turned into checks: a schema that must fit, bad-row predicates, and one aggregate pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import ContractError
from core.table import Column, Severity, Table

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql import DataFrame, Row


@dataclass(frozen=True)
class BadRow:
    """A way in which a row breaks its table: `reason` in a word or two, `sql` true for such a row."""

    reason: str
    sql: str


@dataclass(frozen=True)
class Finding:
    """One check that did not hold: what was expected and what was seen."""

    severity: Severity
    text: str


def bad_rows(table: Table) -> tuple[BadRow, ...]:
    """Returns every way in which a single row can break `table`, in the order of its columns."""
    found: list[BadRow] = []
    for column in table.columns:
        name = f"`{column.name}`"
        if not column.nullable:
            missing = f"({name} is null or isnan({name}))" if column.type in ("double", "float") else f"{name} is null"
            found.append(BadRow(f"{column.name}_missing", missing))
        if column.minimum is not None or column.maximum is not None:
            found.append(BadRow(f"{column.name}_out_of_range", f"not ({_within(column)})"))
        if column.choices:
            listed = ", ".join(f"'{choice}'" for choice in column.choices)
            found.append(BadRow(f"{column.name}_not_a_choice", f"{name} not in ({listed})"))
    return tuple(found)


def _within(column: Column) -> str:
    parts = []
    if column.minimum is not None:
        parts.append(f"`{column.name}` >= {column.minimum!r}")
    if column.maximum is not None:
        parts.append(f"`{column.name}` <= {column.maximum!r}")
    return " and ".join(parts)


def reasons(table: Table, more: tuple[BadRow, ...] = ()) -> Expression:
    """Returns the Spark expression of the array of reasons for which a row breaks `table`: empty for a good row."""
    from pyspark.sql import functions as F

    every = (*more, *bad_rows(table))
    return F.array_compact(F.array(*[F.expr(f"case when {bad.sql} then '{bad.reason}' end") for bad in every]))


def conform(frame: DataFrame, table: Table) -> DataFrame:
    """Returns `frame` with exactly the columns of `table`, in order; raises ContractError naming every mismatch."""
    seen = {field.name: field.dataType.simpleString() for field in frame.schema.fields}
    declared = {column.name: column.type for column in table.all_columns}
    faults = [f"column {name!r} is missing" for name in declared if name not in seen]
    faults += [f"column {name!r} is not declared" for name in seen if name not in declared]
    faults += [
        f"column {name!r} is {seen[name]}, declared {kind}"
        for name, kind in declared.items()
        if name in seen and seen[name] != kind
    ]
    if faults:
        raise ContractError(
            "; ".join(faults), where=f"table {table.name}", next_step=f"compare with `reelfeed tables {table.name}`"
        )
    return frame.select(*table.column_names)


def totals(table: Table) -> list[Expression]:
    """Returns the aggregates over any rows of `table` that `findings` judges: counts and sums, so that they add up."""
    from pyspark.sql import functions as F

    any_bad = " or ".join(f"({bad.sql})" for bad in bad_rows(table)) or "false"
    sums = []
    for i, check in enumerate(table.checks):
        value = F.expr(f"cast(`{check.column}` as double)")
        sums += [F.sum(value).alias(f"sum_{i}"), F.count(value).alias(f"known_{i}")]
    return [F.count(F.lit(1)).alias("rows"), F.count_if(F.expr(any_bad)).alias("bad"), *sums]


def findings(seen: Sequence[Row], frame: DataFrame, table: Table) -> list[Finding]:
    """Returns every declared check of single rows and of means that `frame` breaks; `seen` has the `totals` of each
    of its days."""
    found = _broken(frame, table) if any(row["bad"] for row in seen) else []
    for i, check in enumerate(table.checks):
        known = sum(row[f"known_{i}"] for row in seen)
        mean = sum(row[f"sum_{i}"] or 0.0 for row in seen) / known if known else None
        if mean is not None and not check.minimum <= mean <= check.maximum:
            text = f"mean of {check.column} is {mean:.4g}, expected within [{check.minimum}, {check.maximum}]"
            found.append(Finding(check.severity, text))
    return found


def _broken(frame: DataFrame, table: Table) -> list[Finding]:
    """Returns one finding for each way in which rows of `frame` break `table`, with their number."""
    from pyspark.sql import functions as F

    checks = bad_rows(table)
    counts = [F.count_if(F.expr(bad.sql)).alias(bad.reason) for bad in checks]
    seen = frame.agg(F.count(F.lit(1)).alias("rows"), *counts).first()
    assert seen is not None
    found = [(seen[bad.reason], bad.reason) for bad in checks if seen[bad.reason]]
    return [Finding("stop", f"{count} of {seen['rows']} rows: {reason}") for count, reason in found]


def repeated_keys(frame: DataFrame, table: Table) -> list[Finding]:
    """Returns a finding where two rows of one partition of `frame` share the key of `table`."""
    from pyspark.sql import functions as F

    # Hashes are cheap to bring together; only where two agree are the keys themselves looked at.
    if frame.groupBy(F.xxhash64("ds", *table.key)).count().where("count > 1").isEmpty():
        return []
    again = frame.groupBy("ds", *table.key).count().where("count > 1")
    seen = again.agg(F.count(F.lit(1)).alias("keys"), F.first(F.struct("ds", *table.key)).alias("example")).first()
    assert seen is not None
    if not seen["keys"]:
        return []
    example = ", ".join(f"{name}={value}" for name, value in seen["example"].asDict().items())
    return [Finding("stop", f"{seen['keys']} keys appear more than once, one is {example}")]
