"""Training examples as arrays: what the ranker is fitted and judged on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ContractError
from models.labels import label_named, label_names
from models.stored import Stored

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """Impressions in one order, that of part (train, validate, test), user, time and video, however they were stored.

    `labels` float32 (rows, labels), NaN where one does not apply, their names being `label_names`; `user`, `video`
    int64 (rows,); `shown_at` int64 (rows,), microseconds since 1970; `snapshot` int32 (rows,), days since 1970; `part`
    int8 (rows,), an index into PARTS; `popularity` float64 (rows,); `weight` float32 (rows,), logged impressions that a
    row stands for; `examined` float32 (rows,), how much its place is looked at, NaN where unknown, or None.
    """

    labels: NDArray[np.float32]
    user: NDArray[np.int64]
    video: NDArray[np.int64]
    shown_at: NDArray[np.int64]
    snapshot: NDArray[np.int32]
    part: NDArray[np.int8]
    popularity: NDArray[np.float64]
    weight: NDArray[np.float32]
    label_names: tuple[str, ...]
    examined: NDArray[np.float32] | None = None

    def label(self, name: str) -> NDArray[np.float32]:
        """Returns the label `name`, float32 (rows,); raises ContractError for one that these rows were read without."""
        if name not in self.label_names:
            raise ContractError(
                f"these examples were read without label {name!r}",
                choices=self.label_names,
                next_step="name it among the labels given to models.examples.examples",
            )
        return self.labels[:, self.label_names.index(name)]


@dataclass(frozen=True, kw_only=True)
class Examples(Outcomes):
    """The same with their `features`, float32 (rows, features), NaN where unknown."""

    features: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class ExamplesInFile(Outcomes):
    """The same with their `features` in a file, for more rows than memory should hold whole."""

    features: Stored


PARTS = ("train", "validate", "test")


def examples(table: pyarrow.Table, parts: tuple[str, ...], features: int, labels: tuple[str, ...]) -> Examples:
    """Returns the rows of `parts` of `table`, which holds table training_examples, with the `labels` named.

    Raises ContractError where a row has other than `features` features or a label for each of LABELS, or a part has
    no rows; UsageError for a label that is not among LABELS.
    """
    rows = _of(table, parts)
    outcomes, order = _outcomes(rows, parts, labels)
    return Examples(**outcomes, features=_matrix(rows, "features", features)[order])


def examples_in_file(
    batches: Iterable[pyarrow.RecordBatch],
    parts: tuple[str, ...],
    features: int,
    labels: tuple[str, ...],
    folder: Path,
) -> ExamplesInFile:
    """Returns the same of a table that comes in `batches`, its features in files of `folder`; raises as `examples`."""
    import pyarrow as pa

    met, others = folder / "met", []
    with met.open("wb") as file:
        for batch in batches:
            rows = _of(pa.Table.from_batches([batch]), parts)
            if rows.num_rows:
                _matrix(rows, "features", features).tofile(file)
            others.append(rows.drop_columns("features"))
    rest = pa.concat_tables(others)
    outcomes, order = _outcomes(rest, parts, labels)
    stored = Stored(met, rest.num_rows, features).in_order(order, folder / "features")
    met.unlink()
    return ExamplesInFile(**outcomes, features=stored)


def _of(table: pyarrow.Table, parts: tuple[str, ...]) -> pyarrow.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    return table.filter(pc.is_in(table["part"], value_set=pa.array(parts)))


def _outcomes(
    table: pyarrow.Table, parts: tuple[str, ...], labels: tuple[str, ...]
) -> tuple[dict[str, Any], NDArray[np.intp]]:
    """Returns the fields of Outcomes, and the places in `table` that its rows are taken from, in order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    part = pc.index_in(table["part"], value_set=pa.array(PARTS)).to_numpy().astype(np.int8)
    missing = [name for name in parts if not (part == PARTS.index(name)).any()]
    if missing:
        raise ContractError(
            f"no training examples of part {' and '.join(missing)}",
            where="table training_examples",
            next_step="load more history, or shorten [split] in the profile's conf file, then build_training_set",
        )
    places = [label_names().index(label_named(name).name) for name in labels]
    user, video = _numbers(table, "user_id"), _numbers(table, "video_id")
    shown_at = _numbers(table, "shown_at", pa.timestamp("us", "UTC"), pa.int64())
    order = np.lexsort((video, shown_at, user, part))
    fields = {
        "labels": _matrix(table, "labels", len(label_names()))[:, places][order],
        "user": user[order],
        "video": video[order],
        "shown_at": shown_at[order],
        "snapshot": _numbers(table, "snapshot_ds", pa.int32())[order],
        "part": part[order],
        "popularity": _numbers(table, "popularity")[order],
        "weight": _numbers(table, "weight")[order],
        "label_names": labels,
        "examined": _numbers(table, "examined", pa.float32())[order],
    }
    return fields, order


def at_scoring(features: NDArray[np.float32], neutral: Mapping[int, float]) -> NDArray[np.float32]:
    """Returns a copy of `features` (rows, features) with the `neutral` values, by place, of what only a request knows.

    A feed is scored without it, so predictions must be calibrated and judged without it too.
    """
    served = features.copy()
    for place, value in neutral.items():
        served[:, place] = value
    return served


def _numbers(table: pyarrow.Table, name: str, *types: pyarrow.DataType) -> NDArray:  # type: ignore[type-arg]
    column = table[name]
    for kind in types:
        column = column.cast(kind)
    numbers: NDArray = column.to_numpy()  # type: ignore[type-arg]
    return numbers


def _matrix(table: pyarrow.Table, name: str, width: int) -> NDArray[np.float32]:
    """Returns the array column `name` as float32 (rows, width); nulls within it are NaN."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = table[name]
    lengths = pc.unique(pc.list_value_length(column)).to_pylist()
    if lengths != [width]:
        raise ContractError(
            f"column {name!r} holds arrays of {sorted(map(str, lengths))} numbers, expected {width}",
            where="table training_examples",
            next_step="run build_training_set again: the list of features or labels has changed since",
        )
    values = pc.list_flatten(column).cast(pa.float32())
    numbers: NDArray[np.float32] = values.to_numpy().reshape(-1, width)
    return numbers
