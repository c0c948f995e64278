"""Merging sources, and the exact search behind embedding sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from models.embeddings import nearest_unseen
from models.merge import merge

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_merge_is_round_robin_and_keeps_every_source(spark: SparkSession) -> None:
    ddl = "user_id bigint, video_id bigint, score double"
    first = spark.createDataFrame([(1, 10, 9.0), (1, 11, 8.0), (1, 12, 7.0), (2, 10, 1.0)], ddl)
    second = spark.createDataFrame([(1, 12, 0.5), (1, 13, 0.4)], ddl)
    merged = merge({"a": first, "b": second}, length=3).orderBy("user_id", "rank").collect()
    listed = [(row["user_id"], row["rank"], row["video_id"]) for row in merged]
    assert listed == [(1, 1, 12), (1, 2, 10), (1, 3, 11), (2, 1, 10)]
    assert [tuple(by) for by in merged[0]["sources"]] == [("a", 3, 7.0), ("b", 1, 0.5)]


@given(seed=st.integers(0, 10_000), videos=st.integers(1, 30), quota=st.integers(1, 40))
def test_the_search_equals_sorting_everything(seed: int, videos: int, quota: int) -> None:
    draw = np.random.default_rng(seed)
    video_ids = np.sort(draw.choice(1000, videos, replace=False)).astype(np.int64)
    # Whole numbers make ties common and inner products exact.
    vectors = draw.integers(-2, 3, (videos, 3)).astype(np.float32)
    users = draw.integers(-2, 3, (4, 3)).astype(np.float32)
    seen = [sorted(draw.choice(1000, draw.integers(0, 5), replace=False).tolist()) for _ in users]
    seen[0] += [int(video_ids[0])]
    batch = pa.RecordBatch.from_pydict(
        {
            "user_id": pa.array(range(4), pa.int64()),
            "seen": pa.array(seen, pa.list_(pa.int64())),
            "embedding": pa.array(users.tolist(), pa.list_(pa.float32())),
        }
    )
    found = [row for out in nearest_unseen(batch, video_ids, vectors, quota) for row in out.to_pylist()]
    for user in range(4):
        scored = [
            (-float(users[user] @ vector), int(video))
            for video, vector in zip(video_ids, vectors, strict=True)
            if video not in seen[user]
        ]
        expected = [(video, -score) for score, video in sorted(scored)[:quota]]
        assert [(row["video_id"], row["score"]) for row in found if row["user_id"] == user] == expected
