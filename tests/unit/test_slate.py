"""Slates: rules on candidates and popular videos alike, never a repeat, filled for users who have nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UsageError
from core.recipe import RuleUse
from models.exploration import Exploration
from models.rule import chosen
from models.slate import Plan, slates

STEPS = chosen([RuleUse("seen", {}), RuleUse("integrity", {}), RuleUse("author_cap", {"most": 1, "within": 3})], "here")
POPULAR = {
    "video_id": np.arange(50, 60),
    "author_id": np.arange(500, 510),
    "tag_id": np.full(10, -1),
    "is_showable": np.array([False] + [True] * 9),
    "fresh_rank": np.zeros(10, dtype=int),
}
NOTHING = Exploration(0, "0a", date(2026, 1, 1))
PLAN = Plan(STEPS, 4, NOTHING, POPULAR)
KINDS = {
    "video_id": pa.int64(),
    "value": pa.float64(),
    "author_id": pa.int64(),
    "tag_id": pa.int32(),
    "is_showable": pa.bool_(),
    "fresh_rank": pa.int32(),
}
SCHEMA = pa.schema(
    {
        "user_id": pa.int64(),
        "seen": pa.list_(pa.int64()),
        "blocked": pa.list_(pa.int64()),
        "candidates": pa.list_(pa.struct(KINDS.items())),
    }.items()
)


def batch(users: list[dict[str, Any]]) -> pa.RecordBatch:
    """Users whose candidates are given best first as columns, and stand in the batch the other way round."""
    rows = []
    for user in users:
        named = {name: user.get(name, [0] * len(user["video_id"])) for name in KINDS if name != "value"}
        listed = [dict(zip(named, row, strict=True)) for row in zip(*named.values(), strict=True)]
        valued = [one | {"value": -float(place)} for place, one in enumerate(listed)]
        about = {"user_id": user["user_id"], "seen": user["seen"], "blocked": user.get("blocked", [])}
        rows.append(about | {"candidates": valued[::-1]})
    return pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


def rows_of(users: list[dict[str, Any]], plan: Plan = PLAN) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for out in slates(batch(users), plan):
        for row in out.to_pylist():
            found.setdefault(row["user_id"], []).append(row)
            assert row["slot"] == len(found[row["user_id"]])
    return found


def run(users: list[dict[str, Any]]) -> dict[int, list[tuple[int, str]]]:
    return {user: [(row["video_id"], row["tier"]) for row in rows] for user, rows in rows_of(users).items()}


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


def test_nothing_of_an_author_whom_the_user_has_blocked_is_shown_be_it_popular() -> None:
    user = {"user_id": 3, "seen": [], "video_id": [11, 12], "author_id": [1, 2], "is_showable": [True, True]}
    other = user | {"user_id": 4}
    feeds = run([user | {"blocked": [2, 501, 503]}, other])
    assert [video for video, _ in feeds[3]] == [11, 52, 54, 55]
    assert [video for video, _ in feeds[4]] == [11, 12, 51, 52], "nobody else's blocks count"


def test_nobody_else_s_rows_leak_into_a_feed() -> None:
    users = [
        {"user_id": n, "seen": [], "video_id": [n * 100 + i for i in range(4)], "author_id": list(range(4))}
        | {"is_showable": [True] * 4}
        for n in range(5, 9)
    ]
    for user, feed in run(users).items():
        assert [video for video, _ in feed] == [user * 100 + i for i in range(4)]


def test_a_row_tells_what_moved_it_what_it_stands_against_and_that_the_feed_is_short() -> None:
    few = {name: values[:2] for name, values in POPULAR.items()}
    user = {"user_id": 4, "seen": [], "video_id": [11, 12, 13], "author_id": [1, 1, 2], "is_showable": [True] * 3}
    (feed,) = rows_of([user], replace(PLAN, popular=few, length=6)).values()
    assert [(row["video_id"], row["rules"]) for row in feed] == [
        (11, ["short"]),
        (13, ["short"]),
        (51, ["fallback", "short"]),
        (12, ["author_cap", "short"]),
    ]
    (feed,) = rows_of([user], replace(PLAN, popular=few, length=3)).values()
    assert [row["rules"] for row in feed] == [[], [], ["fallback"]]
    two = user | {"author_id": [1, 1, 1]}
    (feed,) = rows_of([two], replace(PLAN, popular=few, length=3)).values()
    assert [row["rules"] for row in feed] == [[], ["fallback"], ["author_cap", "author_cap relaxed"]]


def test_the_value_of_a_feed_is_told_before_and_after_every_step() -> None:
    user = {"user_id": 4, "seen": [], "video_id": [11, 12, 13], "author_id": [1, 1, 2], "is_showable": [True] * 3}
    first, *others = rows_of([user], replace(PLAN, length=2))[4]
    assert first["values"] == [-1.0, -1.0, -1.0, -2.0, -2.0]
    assert [row["values"] for row in others] == [[]]


@st.composite
def worlds(draw: st.DrawFn) -> list[dict[str, Any]]:
    users = []
    for user_id in range(draw(st.integers(1, 3))):
        count = draw(st.integers(0, 20))
        rng = np.random.default_rng(draw(st.integers(0, 999)))
        videos = rng.choice(np.arange(30, 70), count, replace=False)
        users.append(
            {
                "user_id": user_id,
                "seen": np.sort(rng.choice(np.arange(30, 70), 8, replace=False)).tolist(),
                "video_id": videos.tolist(),
                "author_id": (videos % 4).tolist(),
                "tag_id": (videos % 3 - 1).tolist(),
                "is_showable": (rng.random(count) < 0.8).tolist(),
                "fresh_rank": rng.integers(0, 3, count).tolist(),
                "blocked": np.sort(rng.choice([0, 1, 2, 3, 502, 505], 2, replace=False)).tolist(),
            }
        )
    return users


SHIPPED = chosen(
    [
        RuleUse("seen", {}),
        RuleUse("integrity", {}),
        RuleUse("author_cap", {"most": 1, "within": 4}),
        RuleUse("new_videos", {"least": 1, "within": 6}),
    ],
    "here",
)


@given(users=worlds(), slots=st.integers(0, 3), day=st.integers(1, 28))
def test_no_repeat_no_invention_whole_or_said_so_within_budget_and_the_same_again(
    users: list[dict[str, Any]], slots: int, day: int
) -> None:
    plan = Plan(SHIPPED, 8, Exploration(slots, "0a", date(2026, 1, day)), POPULAR)
    feeds = rows_of(users, plan)
    assert feeds == rows_of(users, plan)
    assert {user: feeds[user] for user in feeds} == {
        user: rows for one in users for user, rows in rows_of([one], plan).items()
    }
    for user in users:
        feed = feeds.get(user["user_id"], [])
        videos = [row["video_id"] for row in feed]
        shown = dict(zip(user["video_id"], user["is_showable"], strict=True))
        shown = dict(zip(POPULAR["video_id"].tolist(), POPULAR["is_showable"].tolist(), strict=True)) | shown
        author = dict(zip(POPULAR["video_id"].tolist(), POPULAR["author_id"].tolist(), strict=True))
        author |= dict(zip(user["video_id"], user["author_id"], strict=True))
        allowed = {video for video, may in shown.items() if may and author[video] not in user["blocked"]}
        allowed -= set(user["seen"])
        assert len(set(videos)) == len(videos)
        assert set(videos) <= allowed
        assert len(feed) == min(8, len(allowed))
        assert all(("short" in row["rules"]) == (len(feed) < 8) for row in feed)
        drawn = [row for row in feed if row["is_exploration"]]
        assert len(drawn) == min(slots, len(allowed) - len(feed), sum("new_videos" not in r["rules"] for r in feed))
        assert all(("exploration" in row["rules"]) == row["is_exploration"] for row in feed)
        assert all(0 < row["propensity"] <= 1 for row in feed)


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


def test_rules_out_of_order_and_a_second_floor_are_refused() -> None:
    for names in (("author_cap", "seen"), ("new_videos", "author_cap"), ("new_videos", "new_videos")):
        with pytest.raises(UsageError, match=f"not as {names[0]}"):
            chosen([RuleUse(name, {}) for name in names], "conf/feeds/x.toml")
