"""Merging sources, and the exact search behind embedding sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from models.blend import Blend, fit, relative
from models.merge import Candidates, Merging, gathered, in_order, merge, tabulated
from models.search import PROPOSALS_DDL, best_unseen

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_merge_is_round_robin_and_keeps_every_source(spark: SparkSession) -> None:
    first = spark.createDataFrame([(1, [10, 11, 12], [9.0, 8.0, 7.0]), (2, [10], [1.0])], PROPOSALS_DDL)
    second = spark.createDataFrame([(1, [12, 13], [0.5, 0.4])], PROPOSALS_DDL)
    merged = merge({"a": first, "b": second}, Merging(3)).orderBy("user_id", "rank").collect()
    listed = [(row["user_id"], row["rank"], row["video_id"]) for row in merged]
    assert listed == [(1, 1, 12), (1, 2, 10), (1, 3, 11), (2, 1, 10)]
    assert [tuple(by) for by in merged[0]["sources"]] == [("a", 3, 7.0), ("b", 1, 0.5)]


NAMES = ("a", "b", "c")
Lists = dict[str, dict[int, list[tuple[int, float]]]]


def asked(lists: Lists) -> Candidates:
    """The candidates of lists by source and user, each (video, score) best first."""
    tables = []
    for name in NAMES:
        of_source = sorted(lists.get(name, {}).items())
        columns = {
            "user_id": pa.array([user for user, _ in of_source], pa.int64()),
            "videos": pa.array([[video for video, _ in one] for _, one in of_source], pa.list_(pa.int64())),
            "scores": pa.array([[score for _, score in one] for _, one in of_source], pa.list_(pa.float64())),
        }
        tables.append(pa.table(columns))
    return tabulated(gathered(tables), len(NAMES))


def videos(lists: Lists, how: Merging, user: int = 1) -> list[int]:
    found = asked(lists)
    order = in_order(found, NAMES, how)
    return [int(video) for one, video in zip(found.user[order], found.video[order], strict=True) if one == user]


def test_a_blend_orders_by_trust_and_not_by_rank() -> None:
    lists: Lists = {"a": {1: [(10, 3.0), (11, 2.0)]}, "b": {1: [(12, 9.0), (13, 1.0)]}}
    assert videos(lists, Merging(4)) == [10, 12, 11, 13]
    trusted = Blend({"a": (0.0, 0.1), "b": (1.0, 0.0)})
    assert videos(lists, Merging(4, trusted)) == [12, 13, 10, 11]
    assert videos(lists, Merging(2, Blend({"c": (1.0, 1.0)}))) == [10, 12], (
        "of equal worth the better ranked comes first"
    )


def test_the_first_of_a_kept_source_survive_every_cut() -> None:
    lists: Lists = {"a": {1: [(v, -float(v)) for v in range(10)]}, "b": {1: [(70, 2.0), (71, 1.0), (72, 0.5)]}}
    how = Merging(4, Blend({"a": (1.0, 1.0)}), kept={"b": 2})
    assert videos(lists, how) == [0, 1, 70, 71]
    assert videos(lists, Merging(1, kept={"b": 2})) == [70], "never longer than asked"


def test_the_filler_beyond_its_quota_stands_behind_all_others_and_fills_up() -> None:
    lists: Lists = {
        "a": {1: [(5, 1.0)]},
        "c": {1: [(20, 4.0), (21, 3.0), (22, 2.0), (5, 1.0)], 2: [(20, 4.0), (21, 3.0)]},
    }
    how = Merging(3, filler="c", quotas={"c": 1})
    assert videos(lists, how) == [5, 20, 21], "21 only fills; the filler's fourth place does not push 5 back"
    assert videos(lists, how, user=2) == [20, 21]
    trusted = Merging(3, Blend({"c": (1.0, 0.0)}), filler="c", quotas={"c": 1})
    assert videos(lists, trusted) == [20, 21, 22], "a blend weighs what the filler names like all else"


@given(seed=st.integers(0, 10_000), length=st.integers(1, 12), kept=st.integers(0, 3))
def test_merging_repeats_and_invents_nothing_and_is_as_long_as_it_can_be(seed: int, length: int, kept: int) -> None:
    draw = np.random.default_rng(seed)
    lists: Lists = {}
    for name in NAMES:
        for user in range(3):
            named = draw.permutation(9)[: draw.integers(0, 8)]
            if len(named):
                scores = np.sort(draw.integers(0, 4, len(named)).astype(float))[::-1]
                lists.setdefault(name, {})[user] = list(zip(named.tolist(), scores.tolist(), strict=True))
    blend = Blend({name: (float(draw.normal()), float(draw.normal())) for name in NAMES}) if seed % 2 else None
    how = Merging(length, blend, {"b": kept}, "c", {"c": 2})
    for user in range(3):
        named = {video for of_source in lists.values() for video, _ in of_source.get(user, [])}
        found = videos(lists, how, user)
        assert len(set(found)) == len(found) == min(length, len(named))
        assert set(found) <= named
        first = [video for video, _ in lists.get("b", {}).get(user, [])][:kept]
        assert set(first) <= set(found) if len(first) <= length else set(found) <= set(first)


def test_a_blend_learns_whom_to_trust() -> None:
    draw = np.random.default_rng(3)
    ranks = draw.integers(0, 20, (4000, 2)).astype(float)
    scores = np.where(ranks > 0, 1.0 - ranks / 20, 0.0)
    right = draw.random(4000) < np.where(ranks[:, 0] > 0, 0.8 / np.sqrt(np.maximum(ranks[:, 0], 1)), 0.05)
    weights = fit(ranks, scores, right, ["good", "noise"]).weights
    assert weights["good"][0] > 1.0
    assert abs(weights["noise"][0]) + abs(weights["noise"][1]) < weights["good"][0] / 2


def test_scores_are_relative_to_their_own_list() -> None:
    scaled = relative(np.array([5.0, 4.0, 3.0, -1.0, -1.0, 7.0]), np.array([3, 0, 2, 1]))
    assert scaled.tolist() == [1.0, 0.5, 0.0, 1.0, 1.0, 1.0]


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
