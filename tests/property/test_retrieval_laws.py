"""Recall and nDCG of lists of candidates equal their definitions, written out user by user with sets."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from models.attribution import Pairs, gain, recall, truth

USERS, VIDEOS = 6, 60


@st.composite
def lists(draw: st.DrawFn) -> dict[int, list[int]]:
    """Videos in order of some users, who need not have a truth; some lists name videos beyond all of any truth."""
    named = st.lists(st.integers(0, VIDEOS + 5), unique=True, max_size=40)
    return draw(st.dictionaries(st.integers(0, USERS), named, max_size=USERS))


@st.composite
def long_views(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Pairs of user and video, at least one, some of them repeated."""
    return draw(st.lists(st.tuples(st.integers(0, USERS), st.integers(0, VIDEOS)), min_size=1, max_size=80))


def pairs_of(listed: dict[int, list[int]]) -> Pairs:
    rows = [(user, video, place) for user, videos in listed.items() for place, video in enumerate(videos, 1)]
    return Pairs(*np.array(rows, dtype=np.int64).reshape(-1, 3).T)


def by_user(pairs: list[tuple[int, int]]) -> list[tuple[int, set[int]]]:
    return [(user, {video for of, video in pairs if of == user}) for user in sorted({user for user, _ in pairs})]


@given(lists(), long_views(), st.integers(1, 45))
def test_recall_equals_its_definition(listed: dict[int, list[int]], watched: list[tuple[int, int]], k: int) -> None:
    expected = [len(set(listed.get(user, [])[:k]) & videos) / len(videos) for user, videos in by_user(watched)]
    assert recall(pairs_of(listed), truth(*np.array(watched).T), k).tolist() == pytest.approx(expected, abs=1e-12)


@given(lists(), long_views(), st.integers(1, 45))
def test_gain_equals_its_definition(listed: dict[int, list[int]], watched: list[tuple[int, int]], k: int) -> None:
    expected = []
    for user, videos in by_user(watched):
        made = sum(1 / math.log2(place + 1) for place, one in enumerate(listed.get(user, [])[:k], 1) if one in videos)
        expected.append(made / sum(1 / math.log2(place + 1) for place in range(1, min(len(videos), k) + 1)))
    assert gain(pairs_of(listed), truth(*np.array(watched).T), k).tolist() == pytest.approx(expected, abs=1e-12)


@given(long_views(), st.integers(0, 1000))
def test_gain_of_whole_pools_equals_scikit_learn(watched: list[tuple[int, int]], seed: int) -> None:
    pool = np.random.default_rng(seed).permutation(VIDEOS + 1)
    found = gain(pairs_of({user: pool.tolist() for user, _ in watched}), truth(*np.array(watched).T), 20)
    expected = [
        ndcg_score([np.isin(pool, list(videos)).astype(int)], [np.arange(len(pool), 0, -1)], k=20)
        for _, videos in by_user(watched)
    ]
    assert found.tolist() == pytest.approx(expected, abs=1e-12)
