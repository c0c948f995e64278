"""The sources' proposals as one list per user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from core.tables.candidates import SOURCES

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    from pyspark.sql import DataFrame


def merge(proposals: Mapping[str, DataFrame], length: int) -> DataFrame:
    """Returns user_id, video_id, rank, sources: at most `length` videos a user, each once.

    Round robin: a video stands where its best source ranked it; of equals the one that more sources named comes
    first, then the smaller video_id. `sources` keeps every source's own rank (first is 1) and score, by source name.
    `proposals` maps a source to one row per user: user_id and the arrays videos and scores, best first.
    """
    from functools import reduce

    from pyspark.sql import DataFrame
    from pyspark.sql import functions as F

    names = sorted(proposals)
    listed = [
        proposals[name].select("user_id", F.lit(place).alias("source"), "videos", "scores")
        for place, name in enumerate(names)
    ]
    together = (
        reduce(DataFrame.unionByName, listed)
        .groupBy("user_id")
        .agg(F.sort_array(F.collect_list(F.struct("source", "videos", "scores"))).alias("lists"))
    )

    def merged(batches: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        for batch in batches:
            yield merge_batch(batch, names, length)

    return together.mapInArrow(merged, f"user_id bigint, video_id bigint, rank int, sources {SOURCES}")


def merge_batch(batch: pyarrow.RecordBatch, names: Sequence[str], length: int) -> pyarrow.RecordBatch:
    """Returns the merged lists of the users of `batch`; see `merge`.

    `batch` has user_id and lists, an array of structs: source (its place in `names`), videos, scores.
    """
    import numpy as np
    import pyarrow as pa

    lists = batch.column("lists")
    users = np.repeat(batch.column("user_id").to_numpy(zero_copy_only=False), np.asarray(lists.value_lengths()))
    asked = lists.flatten()
    videos = asked.field("videos")
    lengths = np.asarray(videos.value_lengths())
    user = np.repeat(users, lengths)
    source = np.repeat(asked.field("source").to_numpy(zero_copy_only=False), lengths)
    rank = _places(lengths)
    video = np.asarray(videos.flatten())
    score = np.asarray(asked.field("scores").flatten())

    by_video = np.lexsort((source, video, user))
    user, video, source, rank, score = (column[by_video] for column in (user, video, source, rank, score))
    fresh = np.concatenate([[True], (user[1:] != user[:-1]) | (video[1:] != video[:-1])]) if len(user) else np.array([])
    starts = np.nonzero(fresh)[0]
    counts = np.diff(np.concatenate([starts, [len(user)]]))
    best = np.minimum.reduceat(rank, starts) if len(starts) else rank
    order = np.lexsort((video[starts], -counts, best, user[starts]))
    merged_rank = _places(np.unique(user[starts][order], return_counts=True)[1])
    order, merged_rank = order[merged_rank <= length], merged_rank[merged_rank <= length]

    rows = _ranges(starts[order], counts[order])
    by = pa.StructArray.from_arrays(
        [
            pa.array(np.asarray(names, dtype=object)[source[rows]].tolist(), pa.string()),
            pa.array(rank[rows].astype(np.int32)),
            pa.array(score[rows]),
        ],
        names=["source", "rank", "score"],
    )
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts[order])]).astype(np.int32))
    columns = [
        pa.array(user[starts][order]),
        pa.array(video[starts][order]),
        pa.array(merged_rank.astype(np.int32)),
        pa.ListArray.from_arrays(offsets, by),
    ]
    return pa.RecordBatch.from_arrays(columns, names=["user_id", "video_id", "rank", "sources"])


def _places(lengths: np.ndarray) -> np.ndarray:
    """Returns 1 … n for each n of `lengths`, one after the other."""
    return _ranges(1 + 0 * lengths, lengths)


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Returns start, start + 1, … of each length, one after the other."""
    import numpy as np

    ends = np.cumsum(lengths)
    steps: np.ndarray = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)
    return steps
