"""Largest inner products in Arrow batches, by faiss: exact, and approximate only for pools where exact is too slow.

Exact search of a pool costs videos × dimensions per user. From APPROXIMATE_FROM videos on an HNSW graph (Malkov and
Yashunin 2018) answers instead, with the recall that docs/benchmarks.md reports.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from models.search import PROPOSALS_DDL, proposals

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    from pyspark.sql import DataFrame

APPROXIMATE_FROM = 1_000_000
"""Videos from which on the pool is searched by a graph; the exact index was as fast for 50,000."""
GRAPH_LINKS = 32
GRAPH_BREADTH = 256
USERS_AT_ONCE = 1_024
CELLS_AT_ONCE = 1_048_576
"""Users searched at once, and their neighbours at once (some 100 bytes each). With the index, which a task holds twice,
packed and unpacked, and one of Spark's Arrow batches this is all the memory that a task needs, however many users."""
MATRIX_FROM = 800
"""Numbers, users × dimensions, from which on faiss multiplies matrices."""
SPARE = 64
"""Neighbours asked for beyond the quota at first, for those that the user has seen."""


def propose_nearest(asking: DataFrame, video_ids: np.ndarray, matrix: np.ndarray, quota: int) -> DataFrame:
    """Returns user_id, videos, scores, both arrays best first: the `quota` unseen videos of largest inner product.

    `asking` has one row per user: user_id, seen (array of video ids), embedding (array<float>). `matrix` is float32,
    (videos, dimensions), in the order of the sorted `video_ids`. Exact but for rounding in float32, unless the pool
    is large; equal products stand in any order. A user without any unseen video has no row.
    """
    import faiss

    packed = faiss.serialize_index(index(matrix)) if len(video_ids) else None

    def search(batches: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        if packed is None:
            return
        import faiss

        # Spark runs a task on every core already.
        use_one_thread()
        searched = faiss.deserialize_index(packed)
        for batch in batches:
            for start in range(0, batch.num_rows, USERS_AT_ONCE):
                yield nearest_unseen(batch.slice(start, USERS_AT_ONCE), video_ids, searched, quota)

    return asking.select("user_id", "seen", "embedding").mapInArrow(search, PROPOSALS_DDL)


def use_one_thread() -> None:
    """Makes this process's faiss search with one thread, and in the way that is fast with one."""
    import faiss

    faiss.omp_set_num_threads(1)
    # faiss 1.15 multiplies matrices only from 128,000 numbers (users × dimensions) on, and else goes user by user. That
    # suits many threads; with one it took four times as long.
    faiss.cvar.distance_compute_blas_threshold = MATRIX_FROM


def index(matrix: np.ndarray) -> Any:
    """Returns the faiss index of the rows of `matrix`, (videos, dimensions), by inner product: of many rows a graph."""
    import faiss
    import numpy as np

    if len(matrix) >= APPROXIMATE_FROM:
        return graph(matrix)
    made = faiss.IndexFlatIP(matrix.shape[1])
    made.add(np.ascontiguousarray(matrix, dtype=np.float32))
    return made


def graph(matrix: np.ndarray) -> Any:
    """Returns the approximate index, whatever the number of rows.

    Threads build it together, so that two graphs of the same rows may differ in what they miss.
    """
    import faiss
    import numpy as np

    made = faiss.IndexHNSWFlat(matrix.shape[1], GRAPH_LINKS, faiss.METRIC_INNER_PRODUCT)
    made.hnsw.efSearch = GRAPH_BREADTH
    made.add(np.ascontiguousarray(matrix, dtype=np.float32))
    return made


def nearest_unseen(batch: pyarrow.RecordBatch, video_ids: np.ndarray, searched: Any, quota: int) -> pyarrow.RecordBatch:
    """Returns user_id, videos, scores for the users of `batch`; see `propose_nearest`."""
    import numpy as np

    users, pool = batch.num_rows, len(video_ids)
    wanted = min(quota, pool)
    embeddings = np.asarray(batch.column("embedding").flatten(), dtype=np.float32).reshape(users, searched.d)
    pairs, met = _seen_pairs(batch.column("seen"), video_ids)
    # Of so many neighbours, `wanted` are unseen for sure.
    enough = np.minimum(wanted + met, pool)
    videos = np.zeros((users, wanted), dtype=np.int64)
    values = np.full((users, wanted), -np.inf)
    left, asked = np.arange(users), wanted + SPARE
    while len(left):
        asked = min(asked, int(enough[left].max()))
        short = []
        for rows in np.array_split(left, -(-len(left) * asked // CELLS_AT_ONCE)):
            scores, found = searched.search(embeddings[rows], asked)
            cells = rows[:, None] * pool + found
            at = np.minimum(np.searchsorted(pairs, cells), max(len(pairs) - 1, 0))
            unseen = (found >= 0) & ((pairs[at] != cells) if len(pairs) else True)
            slot = np.cumsum(unseen, axis=1) - 1
            done = (slot[:, -1] + 1 >= wanted) | (asked >= enough[rows])
            kept = unseen & (slot < wanted) & done[:, None]
            # Both masks are read row by row, and `rows` ascends.
            into = np.zeros(videos.shape, dtype=bool)
            into[rows] = np.arange(wanted) < kept.sum(axis=1, keepdims=True)
            videos[into], values[into] = video_ids[found[kept]], scores[kept]
            short.append(rows[~done])
        left, asked = np.concatenate(short), 4 * asked
    return proposals(batch.column("user_id").to_numpy(zero_copy_only=False), videos, values)


def _seen_pairs(seen: pyarrow.ListArray, video_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the sorted codes, row × videos + place, of what each row has seen of the pool, and how many it has seen.

    Something that is listed twice counts twice.
    """
    import numpy as np

    flat = np.asarray(seen.flatten())
    rows = np.repeat(np.arange(len(seen)), np.asarray(seen.value_lengths()))
    places = np.minimum(np.searchsorted(video_ids, flat), len(video_ids) - 1)
    there = video_ids[places] == flat
    pairs = np.sort(rows[there] * len(video_ids) + places[there])
    return pairs, np.bincount(pairs // len(video_ids), minlength=len(seen))
