"""Strict CSV: headers and values are checked before Spark reads the files, every field as text."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from core.errors import ContractError

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame, SparkSession

Kind = Literal["a whole number", "a number", "a date", "a list of whole numbers"]

BROKEN = "broken"
"""Column of `read_text` that holds the whole line of a row with too few or too many fields, null for any other row."""

BLOCK_BYTES = 8 << 20


def check_headers(expected: Mapping[Path, Sequence[str]]) -> None:
    """Checks that every file has exactly the columns given for it, in any order.

    Raises ContractError that names, for every file at fault, the missing and the unexpected columns.
    """
    faults = [fault for path, columns in expected.items() for fault in _header_faults(path, columns)]
    if faults:
        folders = sorted({str(path.parent) for path in expected})
        raise ContractError(
            "; ".join(faults), where=", ".join(folders), next_step="take the file from the official release again"
        )


def _header_faults(path: Path, columns: Sequence[str]) -> Iterator[str]:
    seen = header(path)
    unexpected = [name for name in seen if name not in columns]
    for name in columns:
        if name not in seen:
            near = get_close_matches(name, unexpected, n=1)
            yield f"{path.name}: column {name!r} is missing" + (f" (is it {near[0]!r}?)" if near else "")
    for name in unexpected:
        near = get_close_matches(name, columns, n=1)
        yield f"{path.name}: column {name!r} is unexpected" + (f" (did you mean {near[0]!r}?)" if near else "")
    for name in sorted({name for name in seen if seen.count(name) > 1}):
        yield f"{path.name}: column {name!r} stands there twice"


def header(path: Path) -> tuple[str, ...]:
    """Returns the column names in the first line of `path`; none for an empty file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return tuple(next(csv.reader(file), ()))


def check_values(path: Path, kinds: Mapping[str, Kind], unknown: Collection[str]) -> None:
    """Checks that every field of the columns in `kinds` is of its kind, blank, or one of the `unknown` codes.

    Raises ContractError that names the file, each column at fault and one of its values, or a row of another width.
    """
    import pyarrow

    faults: dict[str, str] = {}
    try:
        for batch in _batches(path, list(kinds), unknown):
            for name in kinds.keys() - faults.keys():
                example = _unreadable(batch.column(name), kinds[name])
                if example is not None:
                    faults[name] = example
    except pyarrow.ArrowInvalid as error:
        raise ContractError(f"not a readable CSV file: {error}", where=str(path)) from None
    if faults:
        raise ContractError(
            "; ".join(f"column {name!r} holds {faults[name]!r}, not {kinds[name]}" for name in kinds if name in faults),
            where=str(path),
            next_step="mend those fields, or leave them blank where the value is unknown",
        )


def distinct(path: Path, column: str) -> set[str]:
    """Returns the distinct texts of `column`, blanks left out, in one pass; rows of another width are skipped."""
    import pyarrow.compute as pc

    found: set[str] = set()
    for batch in _batches(path, [column], (), skip_broken=True):
        found.update(text for text in pc.unique(batch.column(column)).to_pylist() if text is not None)
    return found


def _batches(
    path: Path, columns: list[str], unknown: Collection[str], *, skip_broken: bool = False
) -> Iterator[pyarrow.RecordBatch]:
    import pyarrow
    from pyarrow import csv as arrow_csv

    return iter(
        arrow_csv.open_csv(
            path,
            arrow_csv.ReadOptions(block_size=BLOCK_BYTES),
            arrow_csv.ParseOptions(invalid_row_handler=(lambda _: "skip") if skip_broken else None),
            arrow_csv.ConvertOptions(
                include_columns=columns,
                column_types={name: pyarrow.string() for name in columns},
                null_values=["", *unknown],
                strings_can_be_null=True,
            ),
        )
    )


def _unreadable(texts: pyarrow.Array, kind: Kind) -> str | None:
    """Returns the first of `texts` that is not of the kind, None where all are."""
    import pyarrow

    try:
        _as_kind(texts, kind)
        return None
    except pyarrow.ArrowInvalid:
        if len(texts) == 1:
            return str(texts[0])
        half = len(texts) // 2
        first = _unreadable(texts[:half], kind)
        return _unreadable(texts[half:], kind) if first is None else first


def _as_kind(texts: pyarrow.Array, kind: Kind) -> pyarrow.Array:
    import pyarrow
    import pyarrow.compute as pc

    if kind == "a list of whole numbers":
        return pc.split_pattern(texts, ",").flatten().cast(pyarrow.int32())
    types = {"a whole number": pyarrow.int64(), "a number": pyarrow.float64(), "a date": pyarrow.date32()}
    return texts.cast(types[kind])


def read_text(spark: SparkSession, files: Sequence[Path]) -> DataFrame:
    """Returns the rows of `files`, which have the same columns in any order, each a string, and the column BROKEN."""
    by_header: dict[tuple[str, ...], list[str]] = {}
    for path in files:
        by_header.setdefault(header(path), []).append(str(path.absolute()))
    frames = [
        # Spark counts the fields of a row only where it may not skip columns.
        spark.read.option("columnPruning", "false").csv(
            paths,
            schema=", ".join(f"`{name}` string" for name in (*names, BROKEN)),
            header=True,
            escape='"',
            columnNameOfCorruptRecord=BROKEN,
        )
        for names, paths in by_header.items()
    ]
    rows = frames[0]
    for frame in frames[1:]:
        rows = rows.unionByName(frame)
    return rows
