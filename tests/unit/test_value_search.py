"""The search of value weights: more of what is asked for, within the guardrails, the same each time."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import UsageError
from models.heads import HEADS, head_names
from models.value_search import DEPTH, Lists, best, differences, front, given, long_enough, search

CURRENT = dict.fromkeys(head_names(), 0.0) | {"long_view": 1.0, "like": 0.6, "not_interested": -8.0}
USERS, SHOWN = 300, 20
LONG_VIEW, LIKE = (head_names().index(name) for name in ("long_view", "like"))


@pytest.fixture(scope="module")
def lists() -> Lists:
    """Likes go to other videos than long views, and are rare; predictions are the true chances."""
    draw = np.random.default_rng(3)
    rows = USERS * SHOWN
    predictions = np.zeros((rows, len(HEADS)))
    predictions[:, LONG_VIEW] = draw.random(rows)
    predictions[:, LIKE] = 0.3 * (1 - predictions[:, LONG_VIEW]) * draw.random(rows)
    outcomes = (draw.random(predictions.shape) < predictions).astype(np.float64)
    return Lists(np.repeat(np.arange(USERS), SHOWN), np.tile(np.arange(SHOWN), USERS), predictions, outcomes)


def test_what_weights_give_is_what_came_of_the_first_of_every_list(lists: Lists) -> None:
    found = given(lists, CURRENT)
    for user in (0, 17):
        mine = lists.user == user
        value = lists.predictions[mine] @ [CURRENT[name] for name in head_names()]
        first = np.argsort(-value)[:DEPTH]
        assert found[user] == pytest.approx(lists.outcomes[mine][first].mean(axis=0))


def test_more_is_found_and_nothing_guarded_is_lost(lists: Lists) -> None:
    tried = search(lists, CURRENT, "like", tolerance=0.1, trials=40, seed=1)
    chosen, first = best(tried, "like"), tried[0]
    assert chosen.given["like"] > first.given["like"]
    assert chosen.given["long_view"] >= 0.9 * first.given["long_view"]
    assert max(one.given["like"] for one in tried) > chosen.given["like"], "no trial went beyond the guardrails"
    assert chosen.weights["long_view"] == 1.0
    assert chosen.weights["click"] == 0.0
    assert all(abs(chosen.weights[head.name]) <= head.weight_limit for head in HEADS)
    assert tried == search(lists, CURRENT, "like", tolerance=0.1, trials=40, seed=1)


def test_where_nothing_may_be_lost_the_recipe_stays(lists: Lists) -> None:
    worse = {**CURRENT, "like": 0.001}
    tried = search(lists, worse, "like", tolerance=-1.0, trials=5, seed=1)
    assert best(tried, "like") is tried[0]


def test_the_front_holds_what_no_other_betters(lists: Lists) -> None:
    tried = search(lists, CURRENT, "like", tolerance=0.1, trials=20, seed=1)
    kept = front(tried, "like", "long_view")
    for one in tried:
        better = [
            other
            for other in tried
            if other.given["like"] > one.given["like"] and other.given["long_view"] > one.given["long_view"]
        ]
        assert (one in kept) <= (not better)
    assert [one.given["like"] for one in kept] == sorted((one.given["like"] for one in kept), reverse=True)


def test_differences_are_paired_and_of_the_same_weights_nothing(lists: Lists) -> None:
    same = differences(lists, CURRENT, CURRENT, seed=1)
    assert all((figure.value, figure.low, figure.high) == (0, 0, 0) for figure in same.values())
    more = differences(lists, {**CURRENT, "like": 6.0}, CURRENT, seed=1)
    assert more["like"].low > 0 > more["long_view"].high


def test_bad_asks_are_named(lists: Lists) -> None:
    with pytest.raises(UsageError, match="unknown head 'likes'"):
        search(lists, CURRENT, "likes", 0.1, 1, 1)
    with pytest.raises(UsageError, match="nothing to search"):
        search(lists, dict.fromkeys(head_names(), 0.0) | {"long_view": 1.0}, "like", 0.1, 1, 1)
    short = Lists(*(column[:DEPTH] for column in vars(lists).values()))
    with pytest.raises(UsageError, match="no order can be told"):
        long_enough(short)
