"""Training examples as arrays: what the ranker is fitted and judged on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.errors import ContractError
from models.labels import label_named, label_names

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True)
class Examples:
    """Impressions in one order, that of part (train, validate, test), user, time and video, however they were stored.

    `features` float32 (rows, features), NaN where unknown; `labels` float32 (rows, labels), NaN where one does not
    apply, their names being `label_names`; `user`, `video` int64 (rows,); `shown_at` int64 (rows,), microseconds since
    1970; `snapshot` int32 (rows,), days since 1970; `part` int8 (rows,), an index into PARTS; `popularity` float64
    (rows,); `weight` float32 (rows,), logged impressions that a row stands for.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.float32]
    user: NDArray[np.int64]
    video: NDArray[np.int64]
    shown_at: NDArray[np.int64]
    snapshot: NDArray[np.int32]
    part: NDArray[np.int8]
    popularity: NDArray[np.float64]
    weight: NDArray[np.float32]
    label_names: tuple[str, ...]

    def label(self, name: str) -> NDArray[np.float32]:
        """Returns the label `name`, float32 (rows,); raises ContractError for one that these rows were read without."""
        if name not in self.label_names:
            raise ContractError(
                f"these examples were read without label {name!r}",
                choices=self.label_names,
                next_step="name it among the labels given to models.examples.examples",
            )
        return self.labels[:, self.label_names.index(name)]


PARTS = ("train", "validate", "test")


def examples(table: pyarrow.Table, parts: tuple[str, ...], features: int, labels: tuple[str, ...]) -> Examples:
    """Returns the rows of `parts` of `table`, which holds table training_examples, with the `labels` named.

    Raises ContractError where a row has other than `features` features or a label for each of LABELS, or a part has
    no rows; UsageError for a label that is not among LABELS.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    part = pc.index_in(table["part"], value_set=pa.array(PARTS))
    table = table.set_column(table.schema.get_field_index("part"), "part", part.cast(pa.int8()))
    wanted = pa.array([PARTS.index(name) for name in parts], pa.int8())
    table = table.filter(pc.is_in(table["part"], value_set=wanted))
    row_part = _numbers(table, "part").astype(np.int8)
    missing = [name for name in parts if not (row_part == PARTS.index(name)).any()]
    if missing:
        raise ContractError(
            f"no training examples of part {' and '.join(missing)}",
            where="table training_examples",
            next_step="load more history, or shorten [split] in the profile's conf file, then build_training_set",
        )
    places = [label_names().index(label_named(name).name) for name in labels]
    user, video = _numbers(table, "user_id"), _numbers(table, "video_id")
    shown_at = _numbers(table, "shown_at", pa.timestamp("us", "UTC"), pa.int64())
    order = np.lexsort((video, shown_at, user, row_part))
    return Examples(
        features=_matrix(table, "features", features)[order],
        labels=_matrix(table, "labels", len(label_names()))[:, places][order],
        user=user[order],
        video=video[order],
        shown_at=shown_at[order],
        snapshot=_numbers(table, "snapshot_ds", pa.int32())[order],
        part=row_part[order],
        popularity=_numbers(table, "popularity")[order],
        weight=_numbers(table, "weight")[order],
        label_names=labels,
    )


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
