"""Top-k in Arrow batches: for each user the best videos that they have not seen, by links or by embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    from pyspark.sql import DataFrame
    from scipy.sparse import csr_array

    Scorer = Callable[[pyarrow.RecordBatch], np.ndarray]

USERS_AT_ONCE = 512
"""Users scored at once: bounds memory to USERS_AT_ONCE × videos scores of 8 bytes."""

PROPOSALS_DDL = "user_id bigint, videos array<bigint>, scores array<double>"


def propose_best(asking: DataFrame, video_ids: np.ndarray, score: Scorer, quota: int) -> DataFrame:
    """Returns user_id, videos, scores, both arrays best first: the `quota` best unseen videos of every user.

    `asking` has one row per user: user_id, seen (array of video ids) and whatever `score` needs of it. `score` takes
    some of these rows and returns their scores, (rows, videos) in the order of the sorted `video_ids`; −∞ is
    no candidate. Ties go to the smaller video id. A user without any candidate has no row.
    """

    def search(batches: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        for batch in batches:
            for start in range(0, batch.num_rows if len(video_ids) else 0, USERS_AT_ONCE):
                part = batch.slice(start, USERS_AT_ONCE)
                yield best_unseen(part, video_ids, score(part), quota)

    return asking.mapInArrow(search, PROPOSALS_DDL)


def propose_linked(
    asking: DataFrame, things: np.ndarray, video_ids: np.ndarray, similar: csr_array, quota: int
) -> DataFrame:
    """Returns what `propose_best` does; a video's score is the sum of its links with the things of the user.

    `asking` has one row per user: user_id, seen, and things (array of ids), with or without weights (array, 1 each
    where absent). `similar` holds the links, (things, videos), of the sorted `things` to the sorted `video_ids`; a
    video that no thing of the user is linked with is no candidate.
    """
    import numpy as np
    from scipy.sparse import csr_array

    def score(users: pyarrow.RecordBatch) -> np.ndarray:
        mine = users.column("things")
        rows = np.repeat(np.arange(users.num_rows), np.asarray(mine.value_lengths()))
        flat = np.asarray(mine.flatten())
        weights = (
            np.asarray(users.column("weights").flatten()) if "weights" in users.schema.names else np.ones(len(flat))
        )
        place = np.minimum(np.searchsorted(things, flat), max(len(things) - 1, 0))
        there = things[place] == flat if len(things) else np.zeros(len(flat), bool)
        met = csr_array((weights[there], (rows[there], place[there])), shape=(users.num_rows, len(things)))
        scores: np.ndarray = (met @ similar).toarray()
        scores[scores == 0.0] = -np.inf
        return scores

    return propose_best(asking, video_ids, score, quota)


def best_unseen(
    batch: pyarrow.RecordBatch, video_ids: np.ndarray, scores: np.ndarray, quota: int
) -> pyarrow.RecordBatch:
    """Returns user_id, videos, scores for the users of `batch`; see `propose_best`. Overwrites `scores`."""
    import numpy as np

    scores[_seen_cells(batch.column("seen"), video_ids)] = -np.inf
    chosen = largest(scores, min(quota, len(video_ids)))
    values = np.take_along_axis(scores, chosen, axis=1).astype(np.float64)
    return proposals(batch.column("user_id").to_numpy(zero_copy_only=False), video_ids[chosen], values)


def proposals(users: np.ndarray, videos: np.ndarray, values: np.ndarray) -> pyarrow.RecordBatch:
    """Returns user_id, videos, scores: of each row of `videos` and `values` (users, any) those of finite value."""
    import numpy as np
    import pyarrow as pa

    kept = np.isfinite(values)
    counts = kept.sum(axis=1)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts[counts > 0])]).astype(np.int32))
    lists = [pa.ListArray.from_arrays(offsets, pa.array(flat)) for flat in (videos[kept], values[kept])]
    return pa.RecordBatch.from_arrays([pa.array(users[counts > 0]), *lists], names=["user_id", "videos", "scores"])


def _seen_cells(seen: pyarrow.ListArray, video_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns row and column of every (user, seen video) that is in the pool."""
    import numpy as np

    flat = np.asarray(seen.flatten())
    rows = np.repeat(np.arange(len(seen)), np.asarray(seen.value_lengths()))
    columns = np.minimum(np.searchsorted(video_ids, flat), len(video_ids) - 1)
    there = video_ids[columns] == flat
    return rows[there], columns[there]


def largest(scores: np.ndarray, count: int) -> np.ndarray:
    """Returns the column numbers of the `count` largest scores of each row, largest first, ties by column."""
    import numpy as np

    if count < scores.shape[1]:
        # The count-th largest value decides who is in; among its equals the first columns are.
        edge = -np.partition(-scores, count - 1, axis=1)[:, count - 1 : count]
        above = scores > edge
        level = scores == edge
        kept = above | (level & (np.cumsum(level, axis=1) <= count - above.sum(axis=1, keepdims=True)))
        columns = np.nonzero(kept)[1].reshape(scores.shape[0], count)
    else:
        columns = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    order = np.argsort(-np.take_along_axis(scores, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)
