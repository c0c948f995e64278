"""Exact inner-product search in Arrow batches: every user against every video, seen videos left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow

USERS_AT_ONCE = 512
"""Users multiplied at once: bounds memory to USERS_AT_ONCE × videos scores, 4 bytes each."""


def nearest_unseen(
    batch: pyarrow.RecordBatch, video_ids: np.ndarray, videos: np.ndarray, quota: int
) -> Iterator[pyarrow.RecordBatch]:
    """Yields user_id, video_id, score: for each user of `batch` the unseen videos of largest inner product.

    At most `quota` a user. `batch` has user_id, seen (array of video ids) and embedding (d floats); `videos` is
    (videos, d) float32 in the order of the sorted `video_ids`. Ties go to the smaller video id.
    """
    import numpy as np
    import pyarrow as pa

    for start in range(0, batch.num_rows, USERS_AT_ONCE):
        part = batch.slice(start, USERS_AT_ONCE)
        users = np.asarray(part.column("embedding").flatten(), dtype=np.float32).reshape(part.num_rows, -1)
        scores = users @ videos.T
        scores[_seen_cells(part.column("seen"), video_ids)] = -np.inf
        chosen = _largest(scores, min(quota, len(video_ids)))
        values = np.take_along_axis(scores, chosen, axis=1).astype(np.float64)
        kept = np.isfinite(values)
        asking = np.repeat(part.column("user_id").to_numpy(zero_copy_only=False), kept.sum(axis=1))
        yield pa.RecordBatch.from_arrays(
            [pa.array(asking), pa.array(video_ids[chosen[kept]]), pa.array(values[kept])],
            names=["user_id", "video_id", "score"],
        )


def _seen_cells(seen: pyarrow.ListArray, video_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns row and column of every (user, seen video) that is in the pool."""
    import numpy as np

    flat = np.asarray(seen.flatten())
    rows = np.repeat(np.arange(len(seen)), np.asarray(seen.value_lengths()))
    columns = np.searchsorted(video_ids, flat)
    columns[columns == len(video_ids)] = 0
    there = video_ids[columns] == flat
    return rows[there], columns[there]


def _largest(scores: np.ndarray, count: int) -> np.ndarray:
    """Returns the column numbers of the `count` largest scores of each row, largest first, ties by column."""
    import numpy as np

    if count < scores.shape[1]:
        # The count-th largest value decides who is in; among its equals the first columns are.
        edge = -np.partition(-scores, count - 1, axis=1)[:, count - 1 : count]
        above = scores > edge
        room = count - above.sum(axis=1, keepdims=True)
        level = scores == edge
        kept = above | (level & (np.cumsum(level, axis=1) <= room))
        columns = np.nonzero(kept)[1].reshape(scores.shape[0], count)
    else:
        columns = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    order = np.argsort(-np.take_along_axis(scores, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)
