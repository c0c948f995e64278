"""What a table is: every fact about it in one declaration, from which schema, checks and docs are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["stop", "tell"]


@dataclass(frozen=True)
class Column:
    """One column: its Spark type, meaning and unit, and the values it may hold.

    Bounds are inclusive. A value outside them, or a null where `nullable` is false, breaks the contract.
    """

    name: str
    type: str
    doc: str
    unit: str = ""
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class MeanBetween:
    """A check over all rows of a publish: the mean of `column` (true counts as 1) lies in the bounds, inclusive."""

    column: str
    minimum: float
    maximum: float
    severity: Severity = "tell"


@dataclass(frozen=True)
class Table:
    """A table of the lake, partitioned by `ds`, the day whose data it holds.

    `key` is unique within a partition. `fresh_for_hours` is how long after the end of `ds` the partition may be
    used before it counts as stale. `min_rows` is the fewest rows of a partition. `guarded` tables run
    their Great Expectations suite at every publish; all others get the same schema, null, bound and key checks
    from one aggregate pass.
    """

    name: str
    doc: str
    owner: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    fresh_for_hours: int
    min_rows: int = 1
    checks: tuple[MeanBetween, ...] = ()
    guarded: bool = False

    @property
    def all_columns(self) -> tuple[Column, ...]:
        """The declared columns and, last, the partition column `ds`."""
        return (*self.columns, DS)

    @property
    def ddl(self) -> str:
        """The Spark DDL of the whole table, `ds` last. Nullability is a check, not part of the file schema."""
        return ", ".join(f"`{column.name}` {column.type}" for column in self.all_columns)

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.all_columns)


DS = Column("ds", "date", "Partition: the day whose logs this row came with, in the app's business time zone.")
