"""MMR and DPP choose what their definitions say, worked out anew for every turn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from models.rule import all_rules, apply_all, lists_of

LENGTH = 8
UNLIKENESS = 60
Score = Callable[[NDArray[np.float64], NDArray[np.float64], list[int], int], float]


def by_mmr(relevance: NDArray[np.float64], cosine: NDArray[np.float64], taken: list[int], row: int) -> float:
    return float(relevance[row] - UNLIKENESS / 100 * (cosine[row, taken].max() if taken else 0))


def by_dpp(relevance: NDArray[np.float64], cosine: NDArray[np.float64], taken: list[int], row: int) -> float:
    chosen = [*taken, row]
    likeness = (1 + cosine[np.ix_(chosen, chosen)]) / 2
    np.fill_diagonal(likeness, 1.0)
    return float(relevance[chosen].sum() + UNLIKENESS / 200 * np.linalg.slogdet(likeness)[1])


@pytest.mark.parametrize(("name", "score"), [("mmr", by_mmr), ("dpp", by_dpp)])
@pytest.mark.parametrize("seed", range(5))
def test_each_turn_takes_the_candidate_of_largest_score(name: str, score: Score, seed: int) -> None:
    draw = np.random.default_rng(seed)
    candidates, popular = 20, 4
    vectors = draw.normal(size=(candidates + popular, 10))
    vectors[3] = 0
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    value = np.concatenate([np.sort(draw.normal(size=candidates))[::-1], np.zeros(popular)])
    relevance = (value[:candidates] - value[:candidates].min()) / np.ptp(value[:candidates])
    cosine = vectors @ vectors.T
    taken: list[int] = []
    for _ in range(LENGTH):
        left = [row for row in range(candidates) if row not in taken]
        taken.append(max(left, key=lambda row: score(relevance, cosine, taken, row)))
    columns = {
        "video_id": np.arange(len(value)),
        "value": value,
        "is_candidate": np.arange(len(value)) < candidates,
        "vector_at": np.arange(len(value)),
        "vectors": vectors.astype(np.float32),
    }
    lists = lists_of(np.arange(len(value)), np.array([0, len(value)]))
    done = apply_all([(all_rules()[name], {"unlikeness": UNLIKENESS})], lists, columns, LENGTH)
    rest = [row for row in range(len(value)) if row not in taken]
    assert done.rows.tolist() == [*taken, *rest]
    assert taken != list(range(LENGTH)), "the case must differ from the order of value"


def test_of_the_same_video_over_and_over_dpp_takes_one_and_then_goes_by_value() -> None:
    columns = {
        "video_id": np.arange(6),
        "value": np.array([6.0, 5.0, 4.0, 3.0, 2.0, 1.0]),
        "is_candidate": np.ones(6, bool),
        "vector_at": np.array([0, 0, 0, 0, 0, 1]),
        "vectors": np.eye(2, dtype=np.float32),
    }
    lists = lists_of(np.arange(6), np.array([0, 6]))
    assert apply_all([(all_rules()["dpp"], {"unlikeness": 100})], lists, columns, 4).rows.tolist() == [0, 5, 1, 2, 3, 4]
