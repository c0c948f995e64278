"""Candidates to slates: the recipe's rules on each user's list, filled with popular videos where it is short."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from models.rule import Rule, apply_all

if TYPE_CHECKING:
    import numpy as np
    import pyarrow

COLUMNS = ("video_id", "author_id", "is_showable", "fresh_rank")
"""What rules may look at of a candidate, besides whether its user has seen it."""

SLATE_DDL = "user_id bigint, slot int, video_id bigint, tier string"


def slates(
    batch: pyarrow.RecordBatch,
    popular: dict[str, np.ndarray],
    steps: Sequence[tuple[Rule, dict[str, Any]]],
    length: int,
) -> Iterator[pyarrow.RecordBatch]:
    """Yields user_id, slot (first is 1), video_id, tier: at most `length` videos for each user of `batch`.

    `batch` has one row per user: user_id, seen (array), and candidates, an array of structs in any order: value and
    COLUMNS. They are ranked by value, ties by the smaller video_id. `popular` holds COLUMNS of the popular videos, best
    first, none twice; those that the user has not seen and that are no candidates stand behind the candidates, so rules
    treat both alike. Fewer than `length` only where pool and rules leave fewer.
    """
    import numpy as np
    import pyarrow as pa

    if not batch.num_rows:
        return
    (own, own_bounds), (seen, seen_bounds) = _ranked(batch.column("candidates")), _flat(batch.column("seen"))
    orders, slots, videos, personal = [], [], [], []
    for row in range(batch.num_rows):
        mine = {name: column[own_bounds[row] : own_bounds[row + 1]] for name, column in own.items()}
        met = seen[seen_bounds[row] : seen_bounds[row + 1]]
        spare = ~np.isin(popular["video_id"], np.concatenate([met, mine["video_id"]]))
        behind = np.nonzero(spare)[0][: 2 * length]
        slate = {name: np.concatenate([mine[name], popular[name][behind]]) for name in mine}
        slate["is_seen"] = np.isin(slate["video_id"], met)
        order = apply_all(steps, slate)[:length]
        orders.append(len(order))
        slots.append(np.arange(1, len(order) + 1, dtype=np.int32))
        videos.append(slate["video_id"][order])
        personal.append(order < len(mine["video_id"]))
    users = np.repeat(batch.column("user_id").to_numpy(zero_copy_only=False), orders)
    tier = np.where(np.concatenate(personal), "personal", "popular")
    arrays = [*[pa.array(column) for column in (users, np.concatenate(slots), np.concatenate(videos))]]
    arrays.append(pa.array(tier.tolist(), pa.string()))
    yield pa.RecordBatch.from_arrays(arrays, names=["user_id", "slot", "video_id", "tier"])


def _ranked(lists: pyarrow.ListArray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Returns the candidates of all users by column, each user's in order of value, and where each user's begin."""
    import numpy as np

    structs, bounds = _flat(lists)
    user = np.repeat(np.arange(len(lists)), np.diff(bounds))
    columns = {name: structs.field(name).to_numpy(zero_copy_only=False) for name in (*COLUMNS, "value")}
    order = np.lexsort((columns["video_id"], -columns["value"], user))
    return {name: columns[name][order] for name in COLUMNS}, bounds


def _flat(lists: pyarrow.ListArray) -> tuple[Any, np.ndarray]:
    """Returns the values of all lists, and where each list begins in them, the end last."""
    import numpy as np
    import pyarrow as pa

    bounds = np.concatenate([[0], np.cumsum(np.asarray(lists.value_lengths()))])
    values = lists.flatten()
    return (values if pa.types.is_struct(values.type) else np.asarray(values)), bounds
