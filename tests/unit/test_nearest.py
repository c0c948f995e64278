"""The largest inner products that a user has not seen: what brute force finds, whatever was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models import nearest
from models.nearest import index, nearest_unseen, propose_nearest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DIMENSIONS = 3
VECTORS = st.lists(st.integers(-4, 4), min_size=DIMENSIONS, max_size=DIMENSIONS)
Vectors = list[list[int]]


def users_of(embeddings: np.ndarray, seen: list[list[int]]) -> pa.RecordBatch:
    columns = [
        pa.array(100 + np.arange(len(embeddings))),
        pa.array(seen, pa.list_(pa.int64())),
        pa.array(np.asarray(embeddings, dtype=np.float32).tolist(), pa.list_(pa.float32())),
    ]
    return pa.RecordBatch.from_arrays(columns, names=["user_id", "seen", "embedding"])


def best_by_force(embedding: list[int], matrix: np.ndarray, unseen: np.ndarray, quota: int) -> list[float]:
    return sorted((matrix[unseen] @ np.asarray(embedding)).tolist(), reverse=True)[:quota]


@st.composite
def searches(draw: st.DrawFn) -> tuple[Vectors, Vectors, list[list[int]], int]:
    """Vectors of videos, embeddings of users, what each has seen, and the quota; the pool's ids are 10, 13, 16 …"""
    videos = draw(st.lists(VECTORS, min_size=1, max_size=60))
    users = draw(st.lists(VECTORS, min_size=1, max_size=6))
    ids = [10 + 3 * i for i in range(len(videos))]
    seen = []
    for _ in users:
        unseen = draw(st.sets(st.sampled_from(ids), max_size=5))
        most = draw(st.permutations([video for video in ids if video not in unseen]))
        others = draw(st.lists(st.sampled_from([-7, 0, 11, 10 + 3 * len(videos), 2**62]), max_size=4))
        some = draw(st.lists(st.sampled_from(ids), max_size=5))
        seen.append(others + (most if draw(st.booleans()) else some))
    return videos, users, seen, draw(st.integers(1, 70))


@given(searches(), st.integers(0, 8), st.sampled_from([1, 100, 1_048_576]))
@example(([[1, 0, 0]], [[1, 0, 0]], [[10]], 1), 0, 1_048_576)
def test_what_brute_force_finds(
    search: tuple[Vectors, Vectors, list[list[int]], int], spare: int, cells_at_once: int
) -> None:
    videos, users, seen, quota = search
    matrix, ids = np.asarray(videos, dtype=np.float32), 10 + 3 * np.arange(len(videos))
    with pytest.MonkeyPatch.context() as patch:
        # So small a pool would otherwise be asked for whole, and at once.
        patch.setattr(nearest, "SPARE", spare)
        patch.setattr(nearest, "CELLS_AT_ONCE", cells_at_once)
        # Rows before and after, as where a batch is searched in parts.
        batch = users_of(np.asarray([[0] * DIMENSIONS, *users, [0] * DIMENSIONS]), [[10], *seen, [13]])
        found = nearest_unseen(batch.slice(1, len(users)), ids, index(matrix), quota).to_pylist()
    by_user = {row["user_id"]: row for row in found}
    assert [row["user_id"] for row in found] == sorted(by_user), "a row per user, in order"
    for place, (embedding, met) in enumerate(zip(users, seen, strict=True)):
        unseen = ~np.isin(ids, met)
        if not unseen.any():
            assert 101 + place not in by_user, "who has seen everything has no row"
            continue
        row = by_user[101 + place]
        assert row["scores"] == best_by_force(embedding, matrix, unseen, quota)
        places = np.searchsorted(ids, row["videos"])
        assert ids[places].tolist() == row["videos"], "of the pool"
        assert len(set(row["videos"])) == len(row["videos"]), "once each"
        assert not set(row["videos"]) & set(met)
        assert (matrix[places] @ np.asarray(embedding)).tolist() == row["scores"]


def clustered(count: int, draw: np.random.Generator) -> np.ndarray:
    centres = np.random.default_rng(7).standard_normal((40, 16))
    return (centres[draw.integers(0, 40, count)] + 0.5 * draw.standard_normal((count, 16))).astype(np.float32)


def test_a_large_pool_is_searched_by_a_graph_that_misses_little(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(20260101)
    matrix, ids, embeddings = clustered(5_000, draw), np.arange(5_000), clustered(200, draw)
    # Every other user has seen the very best, far more than are asked for beyond the quota.
    best = np.argsort(-(embeddings @ matrix.T), axis=1)
    batch = users_of(embeddings, [best[i, : 300 * (i % 2)].tolist() for i in range(200)])
    exact = nearest_unseen(batch, ids, index(matrix), 100).to_pylist()
    monkeypatch.setattr(nearest, "APPROXIMATE_FROM", 5_000)
    made = index(matrix)
    assert hasattr(made, "hnsw")
    found = nearest_unseen(batch, ids, made, 100).to_pylist()
    assert [row["user_id"] for row in found] == [row["user_id"] for row in exact]
    for mine, row, seen in zip(exact, found, batch.column("seen").to_pylist(), strict=True):
        assert len(row["videos"]) == len(set(row["videos"])) == 100
        assert not set(row["videos"]) & set(seen)
        assert row["scores"] == sorted(row["scores"], reverse=True)
        user = embeddings[row["user_id"] - 100]
        assert row["scores"] == pytest.approx((matrix[row["videos"]] @ user).tolist(), abs=1e-4)
        assert row["scores"][0] <= mine["scores"][0] + 1e-4
    shares = [
        len(set(mine["videos"]) & set(row["videos"])) / len(mine["videos"])
        for mine, row in zip(exact, found, strict=True)
    ]
    assert np.mean(shares) >= 0.9


def test_spark_finds_the_same(spark: SparkSession) -> None:
    draw = np.random.default_rng(20260101)
    matrix, ids = draw.integers(-4, 5, (400, 8)).astype(np.float32), 5 * np.arange(400)
    users, seen = draw.integers(-4, 5, (50, 8)), draw.integers(0, 2_000, (50, 30))
    rows = [(i, seen[i].tolist(), users[i].astype(float).tolist()) for i in range(50)]
    asking = spark.createDataFrame(rows, "user_id bigint, seen array<bigint>, embedding array<float>").repartition(2)
    found = {row.user_id: row for row in propose_nearest(asking, ids, matrix, 20).collect()}
    assert len(found) == 50
    for i in range(50):
        unseen = ~np.isin(ids, seen[i])
        assert found[i].scores == best_by_force(users[i].tolist(), matrix, unseen, 20)
        assert not set(found[i].videos) & set(seen[i].tolist())
        assert (matrix[np.asarray(found[i].videos) // 5] @ users[i]).tolist() == found[i].scores

    nothing = propose_nearest(asking, np.zeros(0, np.int64), np.zeros((0, 1), np.float32), 20)
    assert nothing.columns == ["user_id", "videos", "scores"]
    assert nothing.collect() == []
