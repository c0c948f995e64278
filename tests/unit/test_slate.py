"""Slates: rules on candidates and popular videos alike, never a repeat, filled for users who have nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.errors import UsageError
from core.recipe import RuleUse
from models.rule import chosen
from models.slate import slates

STEPS = chosen([RuleUse("seen", {}), RuleUse("integrity", {}), RuleUse("author_cap", {"most": 1, "within": 3})], "here")
POPULAR = {
    "video_id": np.arange(50, 60),
    "author_id": np.arange(500, 510),
    "is_showable": np.array([False] + [True] * 9),
    "fresh_rank": np.zeros(10, dtype=int),
}


def run(users: list[dict[str, Any]], length: int = 4) -> dict[int, list[tuple[int, str]]]:
    """Feeds of `users`, whose candidates are given best first as columns."""
    names = ("video_id", "author_id", "is_showable", "fresh_rank")
    rows = []
    for user in users:
        listed = [
            dict(zip(names, row, strict=True))
            for row in zip(*(user.get(name, [0] * len(user["video_id"])) for name in names), strict=True)
        ]
        valued = [one | {"value": -float(place)} for place, one in enumerate(listed)]
        rows.append({"user_id": user["user_id"], "seen": user["seen"], "candidates": valued[::-1]})
    kinds = {"video_id": pa.int64(), "value": pa.float64(), "author_id": pa.int64(), "is_showable": pa.bool_()}
    kinds["fresh_rank"] = pa.int32()
    schema = {"user_id": pa.int64(), "seen": pa.list_(pa.int64()), "candidates": pa.list_(pa.struct(kinds.items()))}
    batch = pa.RecordBatch.from_pylist(rows, schema=pa.schema(schema.items()))
    found: dict[int, list[tuple[int, str]]] = {}
    for out in slates(batch, POPULAR, STEPS, length):
        for row in out.to_pylist():
            found.setdefault(row["user_id"], []).append((row["video_id"], row["tier"]))
            assert row["slot"] == len(found[row["user_id"]])
    return found


def test_candidates_come_in_order_without_seen_or_hidden_ones() -> None:
    user = {"user_id": 1, "seen": [12], "video_id": [11, 12, 13, 14, 15], "author_id": [1, 2, 3, 4, 5]}
    feed = run([user | {"is_showable": [True, True, False, True, True]}])[1]
    assert feed == [(11, "personal"), (14, "personal"), (15, "personal"), (51, "popular")]


def test_a_new_user_gets_the_popular_tier_whole() -> None:
    feed = run([{"user_id": 2, "seen": [], "video_id": [], "author_id": [], "is_showable": []}])[2]
    assert feed == [(video, "popular") for video in (51, 52, 53, 54)]


def test_popular_videos_that_are_candidates_or_seen_are_not_repeated() -> None:
    user = {"user_id": 3, "seen": [52], "video_id": [51], "author_id": [501], "is_showable": [True]}
    videos = [video for video, _ in run([user])[3]]
    assert videos == [51, 53, 54, 55]


def test_nobody_else_s_rows_leak_into_a_feed() -> None:
    users = [
        {"user_id": n, "seen": [], "video_id": [n * 100 + i for i in range(4)], "author_id": list(range(4))}
        | {"is_showable": [True] * 4}
        for n in range(5, 9)
    ]
    for user, feed in run(users).items():
        assert [video for video, _ in feed] == [user * 100 + i for i in range(4)]


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (RuleUse("auther_cap", {}), "did you mean 'author_cap'"),
        (RuleUse("author_cap", {"mostly": 2}), "did you mean 'most'"),
        (RuleUse("author_cap", {"most": 0}), "must be a whole number above 0"),
    ],
)
def test_a_wrong_recipe_is_refused_with_a_hint(use: RuleUse, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        chosen([use], "conf/feeds/x.toml")
