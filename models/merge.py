"""The sources' proposals as one list per user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.tables.candidates import SOURCES
from models.blend import Blend, described, relative

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame

USERS_AT_ONCE = 512
"""Users merged at once: each takes some 130 kB where sources name 760 videos, and Spark's batches hold thousands."""


@dataclass(frozen=True)
class Merging:
    """How lists are merged: at most `length` videos a user.

    In order of `blend` where there is one, else round robin: a video stands where its best source ranked it, and what
    only `filler` names, beyond its `quotas`, behind all others; of equals the one that more sources named comes first,
    then the smaller video_id. The first `kept` of a source stay in however low they stand.
    """

    length: int
    blend: Blend | None = None
    kept: Mapping[str, int] = field(default_factory=dict)
    filler: str = ""
    quotas: Mapping[str, int] = field(default_factory=dict)


def merge(proposals: Mapping[str, DataFrame], how: Merging) -> DataFrame:
    """Returns user_id, video_id, rank, sources: each user's merged list, each video once.

    `sources` keeps every source's own rank (first is 1) and score, by source name. `proposals` maps a source to one row
    per user: user_id and the arrays videos and scores, best first.
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

    def merge_all(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for start in range(0, batch.num_rows, USERS_AT_ONCE):
                yield merge_batch(batch.slice(start, USERS_AT_ONCE), names, how)

    return together.mapInArrow(merge_all, f"user_id bigint, video_id bigint, rank int, sources {SOURCES}")


@dataclass(frozen=True)
class Candidates:
    """What the sources named, every pair of user and video once, in order of both.

    `user` and `video` are int64 (pairs,); `ranks` and `scores`, float32 (pairs, sources), hold the rank in each
    source's list, 0 where it did not name the video, and the score between its last (0) and its first (1). `entries`
    are source, rank and score of every naming, pair by pair; those of pair i begin at `starts[i]` and are `counts[i]`.
    """

    user: np.ndarray
    video: np.ndarray
    ranks: np.ndarray
    scores: np.ndarray
    entries: tuple[np.ndarray, np.ndarray, np.ndarray]
    starts: np.ndarray
    counts: np.ndarray


def gathered(proposals: Sequence[pa.Table]) -> pa.RecordBatch:
    """Returns user_id and lists, as `tabulated` takes them, of the tables that the sources, in order, proposed."""
    import numpy as np
    import pyarrow as pa

    place = np.repeat(np.arange(len(proposals)), [table.num_rows for table in proposals])
    together = pa.concat_tables([table.select(["user_id", "videos", "scores"]) for table in proposals])
    user = together["user_id"].to_numpy()
    order = np.lexsort((place, user))
    rows = together.take(pa.array(order)).combine_chunks()
    users, begins = np.unique(user[order], return_index=True)
    columns = [pa.array(place[order].astype(np.int32)), *[rows[name].combine_chunks() for name in ("videos", "scores")]]
    lists = pa.StructArray.from_arrays(columns, names=["source", "videos", "scores"])
    offsets = pa.array(np.concatenate([begins, [len(order)]]).astype(np.int32))
    return pa.RecordBatch.from_arrays(
        [pa.array(users), pa.ListArray.from_arrays(offsets, lists)], names=["user_id", "lists"]
    )


def tabulated(batch: pa.RecordBatch, sources: int) -> Candidates:
    """Returns the candidates of the users of `batch`: user_id and lists, an array of structs source, videos, scores.

    `source` is the source's number, from 0 to `sources` − 1.
    """
    import numpy as np

    lists = batch.column("lists")
    users = np.repeat(batch.column("user_id").to_numpy(zero_copy_only=False), np.asarray(lists.value_lengths()))
    asked = lists.flatten()
    lengths = np.asarray(asked.field("videos").value_lengths())
    columns = [
        np.repeat(users, lengths),
        np.asarray(asked.field("videos").flatten()),
        np.repeat(asked.field("source").to_numpy(zero_copy_only=False), lengths),
        _places(lengths),
        score := np.asarray(asked.field("scores").flatten()),
        relative(score, lengths),
    ]
    by_pair = np.lexsort((columns[2], columns[1], columns[0]))
    user, video, source, rank, score, scaled = (column[by_pair] for column in columns)
    first = np.ones(len(user), dtype=bool)
    first[1:] = (user[1:] != user[:-1]) | (video[1:] != video[:-1])
    starts = np.nonzero(first)[0]
    pair = np.cumsum(first) - 1
    ranks, scores = np.zeros((2, len(starts), sources), dtype=np.float32)
    ranks[pair, source], scores[pair, source] = rank, scaled
    counts = np.diff(np.append(starts, len(user)))
    return Candidates(user[starts], video[starts], ranks, scores, (source, rank, score), starts, counts)


def in_order(found: Candidates, names: Sequence[str], how: Merging) -> np.ndarray:
    """Returns the numbers of the pairs that stay, user by user, best first; `names` are the sources' in order."""
    import numpy as np

    place = {name: i for i, name in enumerate(names)}
    own = found.ranks.copy() if how.filler in place else found.ranks
    if how.filler in place:
        filler = place[how.filler]
        own[own[:, filler] > how.quotas.get(how.filler, 0), filler] = 0
    best: np.ndarray = np.where(own > 0, own, np.inf).min(axis=1, initial=np.inf)
    fills = best == np.inf
    best = np.where(fills, found.ranks.max(axis=1, initial=0), best)
    if how.blend:
        # It has learned what the filler's lower ranks are worth too.
        fills, worth = np.zeros_like(fills), described(found.ranks, found.scores) @ how.blend.matrix(names)
    else:
        worth = -best
    named = (own > 0).sum(axis=1)
    order = np.lexsort((found.video, -named, best, -worth, fills, found.user))
    kept = np.asarray([how.kept.get(name, 0) for name in names])
    protected = np.any((found.ranks > 0) & (found.ranks <= kept), axis=1)
    stays: np.ndarray = order[_within(found.user[order], protected[order], how.length)]
    return stays


def merge_batch(batch: pa.RecordBatch, names: Sequence[str], how: Merging) -> pa.RecordBatch:
    """Returns the merged lists of the users of `batch`; see `merge` and `tabulated`."""
    return merged(tabulated(batch, len(names)), names, how)


def merged(found: Candidates, names: Sequence[str], how: Merging) -> pa.RecordBatch:
    """Returns user_id, video_id, rank, sources of the candidates `found`, of which `names` are the sources in order."""
    import numpy as np
    import pyarrow as pa

    order = in_order(found, names, how)
    rows = _ranges(found.starts[order], found.counts[order])
    source, rank, score = (entry[rows] for entry in found.entries)
    by = pa.StructArray.from_arrays(
        [
            pa.DictionaryArray.from_arrays(pa.array(source.astype(np.int32)), pa.array(names)).dictionary_decode(),
            pa.array(rank.astype(np.int32)),
            pa.array(score),
        ],
        names=["source", "rank", "score"],
    )
    offsets = pa.array(np.append(0, np.cumsum(found.counts[order])).astype(np.int32))
    columns = [
        pa.array(found.user[order]),
        pa.array(found.video[order]),
        pa.array(places_of(found.user[order]).astype(np.int32)),
        pa.ListArray.from_arrays(offsets, by),
    ]
    return pa.RecordBatch.from_arrays(columns, names=["user_id", "video_id", "rank", "sources"])


def of_source(name: str, field: str) -> Column:
    """Returns `field`, rank or score, of source `name` in the column sources; null where it did not name the video."""
    from pyspark.sql import functions as F

    place = F.array_position(F.col("sources.source"), name).cast("int") - 1
    return F.get(F.col(f"sources.{field}"), place)


def places_of(user: np.ndarray) -> np.ndarray:
    """Returns 1 … n for the n rows of each user, whose rows stand together."""
    import numpy as np

    return _places(np.unique(user, return_counts=True)[1])


def _within(user: np.ndarray, protected: np.ndarray, length: int) -> np.ndarray:
    """Returns which rows, in order and user by user, are among the `length` of their user that stay."""
    import numpy as np

    _, place, rows = np.unique(user, return_inverse=True, return_counts=True)
    room = length - np.minimum(np.bincount(place, protected, minlength=len(rows)), length)
    nth = np.empty(len(user), dtype=np.int64)
    for kind in (protected, ~protected):
        nth[kind] = _places(np.bincount(place[kind], minlength=len(rows)))
    stays: np.ndarray = np.where(protected, nth <= length, nth <= room[place])
    return stays


def _places(lengths: np.ndarray) -> np.ndarray:
    """Returns 1 … n for each n of `lengths`, one after the other."""
    return _ranges(1 + 0 * lengths, lengths)


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Returns start, start + 1, … of each length, one after the other."""
    import numpy as np

    ends = np.cumsum(lengths)
    steps: np.ndarray = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)
    return steps
