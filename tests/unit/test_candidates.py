"""Merging sources, and the exact search behind embedding sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from models.merge import merge
from models.search import PROPOSALS_DDL, best_unseen

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_merge_is_round_robin_and_keeps_every_source(spark: SparkSession) -> None:
    first = spark.createDataFrame([(1, [10, 11, 12], [9.0, 8.0, 7.0]), (2, [10], [1.0])], PROPOSALS_DDL)
    second = spark.createDataFrame([(1, [12, 13], [0.5, 0.4])], PROPOSALS_DDL)
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
        }
    )
    out = best_unseen(batch, video_ids, users @ vectors.T, quota).to_pylist()
    found = {row["user_id"]: list(zip(row["videos"], row["scores"], strict=True)) for row in out}
    for user in range(4):
        scored = [
            (-float(users[user] @ vector), int(video))
            for video, vector in zip(video_ids, vectors, strict=True)
            if video not in seen[user]
        ]
        expected = [(video, -score) for score, video in sorted(scored)[:quota]]
        assert found.get(user, []) == expected
