"""A table's declaration turned into checks: a schema that must fit, bad-row predicates, and one aggregate pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import ContractError
from core.table import Column, Severity, Table

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql import DataFrame


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


def findings(frame: DataFrame, table: Table) -> list[Finding]:
    """Returns every declared check of `table` that `frame` (all rows of one publish) breaks, in one aggregate pass."""
    from pyspark.sql import functions as F

    row_checks = bad_rows(table)
    totals = [F.count_if(F.expr(bad.sql)).alias(f"bad_{i}") for i, bad in enumerate(row_checks)]
    means = [
        F.avg(F.expr(f"cast(`{check.column}` as double)")).alias(f"mean_{i}") for i, check in enumerate(table.checks)
    ]
    seen = frame.agg(F.count(F.lit(1)).alias("rows"), *totals, *means).first()
    assert seen is not None
    found = [
        Finding("stop", f"{seen[f'bad_{i}']} of {seen['rows']} rows: {bad.reason}")
        for i, bad in enumerate(row_checks)
        if seen[f"bad_{i}"]
    ]
    for i, check in enumerate(table.checks):
        mean = seen[f"mean_{i}"]
        if mean is not None and not check.minimum <= mean <= check.maximum:
            text = f"mean of {check.column} is {mean:.4g}, expected within [{check.minimum}, {check.maximum}]"
            found.append(Finding(check.severity, text))
    return found + repeated_keys(frame, table)


def repeated_keys(frame: DataFrame, table: Table) -> list[Finding]:
    """Returns a finding where two rows of one partition of `frame` share the key of `table`."""
    from pyspark.sql import functions as F

    again = frame.groupBy("ds", *table.key).count().where("count > 1")
    seen = again.agg(F.count(F.lit(1)).alias("keys"), F.first(F.struct("ds", *table.key)).alias("example")).first()
    assert seen is not None
    if not seen["keys"]:
        return []
    example = ", ".join(f"{name}={value}" for name, value in seen["example"].asDict().items())
    return [Finding("stop", f"{seen['keys']} keys appear more than once, one is {example}")]
