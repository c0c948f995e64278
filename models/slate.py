"""Candidates to slates: the recipe's rules on each user's list, filled with popular videos where it is short."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from models.rule import Rule, apply_all

if TYPE_CHECKING:
    import numpy as np
    import pyarrow

SLATE_DDL = "user_id bigint, slot int, video_id bigint, tier string"


def slates(
    batch: pyarrow.RecordBatch,
    popular: dict[str, np.ndarray],
    steps: Sequence[tuple[Rule, dict[str, Any]]],
    length: int,
) -> Iterator[pyarrow.RecordBatch]:
    """Yields user_id, slot (first is 1), video_id, tier: at most `length` videos for each user of `batch`.

    `batch` has one row per user: user_id, seen (array), and the candidates in order of value as the equally long arrays
    video_id, author_id, is_showable. `popular` holds the same three columns for the popular videos, best first, none
    twice; those that the user has not seen and that are no candidates stand behind the candidates, so rules
    treat both alike. Fewer than `length` only where pool and rules leave fewer.
    """
    import numpy as np
    import pyarrow as pa

    lists = {name: batch.column(name) for name in ("seen", "video_id", "author_id", "is_showable")}
    users, slots, videos, personal = [], [], [], []
    for row, user_id in enumerate(batch.column("user_id").to_pylist()):
        own = {name: _array(lists[name], row) for name in ("video_id", "author_id", "is_showable")}
        seen = _array(lists["seen"], row)
        spare = ~np.isin(popular["video_id"], np.concatenate([seen, own["video_id"]]))
        behind = np.nonzero(spare)[0][: 2 * length]
        slate = {name: np.concatenate([own[name], popular[name][behind]]) for name in own}
        slate["is_seen"] = np.isin(slate["video_id"], seen)
        order = apply_all(steps, slate)[:length]
        users.append(np.full(len(order), user_id, dtype=np.int64))
        slots.append(np.arange(1, len(order) + 1, dtype=np.int32))
        videos.append(slate["video_id"][order])
        personal.append(order < len(own["video_id"]))
    if users:
        tier = np.where(np.concatenate(personal), "personal", "popular")
        columns = [np.concatenate(users), np.concatenate(slots), np.concatenate(videos)]
        arrays = [*[pa.array(column) for column in columns], pa.array(tier.tolist(), pa.string())]
        yield pa.RecordBatch.from_arrays(arrays, names=["user_id", "slot", "video_id", "tier"])


def _array(lists: pyarrow.ListArray, row: int) -> np.ndarray:
    values: np.ndarray = lists[row].values.to_numpy(zero_copy_only=False)
    return values
