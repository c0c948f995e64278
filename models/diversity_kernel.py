"""The loops of the rules that put unlike videos beside each other, compiled by numba: one thread, all users of a batch.

Both choose greedily, for every user, `length` of the candidates, of which each has a relevance r: its value, the user's
least being 0 and their best 1. Vectors are of length 1, or 0 for a video of which nothing is known. Popular videos,
which have no value, stay behind the candidates, in their order; so do candidates that are not chosen.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

_compiled = njit(cache=True, nogil=True, error_model="numpy")
LEAST_VARIANCE = 1e-9
"""A video of which less than this is left, once the chosen ones explain the rest, is one of them again."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Vectors = NDArray[np.float32]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _dot(left: NDArray[np.floating], right: NDArray[np.floating]) -> float:
    total = left.dtype.type(0)
    for place in range(len(left)):
        total += left[place] * right[place]
    return float(total)


@_compiled
def _relevance(rows: Ints, value: Floats) -> Floats:
    found = np.empty(len(rows))
    for place in range(len(rows)):
        found[place] = value[rows[place]]
    width = found.max() - found.min() if len(rows) else 0.0
    return (found - found.min()) / width if width > 0 else np.zeros(len(rows))


@_compiled
def _candidates_first(mine: Ints, is_candidate: Bools) -> tuple[Ints, int]:
    """Returns the rows with the candidates before all others, and how many they are."""
    found, at = np.empty_like(mine), 0
    for wanted in (True, False):
        for row in mine:
            if is_candidate[row] == wanted:
                found[at] = row
                at += 1
        if wanted:
            candidates = at
    return found, candidates


@_compiled
def _vectors_of(rows: Ints, vector_at: Ints, vectors: Vectors) -> Vectors:
    found = np.empty((len(rows), vectors.shape[1]), np.float32)
    for place in range(len(rows)):
        found[place] = vectors[vector_at[rows[place]]]
    return found


@_compiled
def _take(mine: Ints, is_taken: Bools, taken: Ints, count: int, out: Ints) -> None:
    """Fills `out` with the first `count` of `taken`, places in `mine`, and behind them what is not taken."""
    for turn in range(count):
        out[turn] = mine[taken[turn]]
    at = count
    for place in range(len(mine)):
        if place >= len(is_taken) or not is_taken[place]:
            out[at] = mine[place]
            at += 1


@_compiled
def marginal_relevance(
    rows: Ints,
    bounds: Ints,
    length: int,
    value: Floats,
    is_candidate: Bools,
    vector_at: Ints,
    vectors: Vectors,
    weight: float,
) -> Ints:
    """Returns `rows` with, in each turn, the candidate of largest r - weight × (largest cosine to those before it)."""
    out = np.empty_like(rows)
    for user in range(len(bounds) - 1):
        begin, end = bounds[user], bounds[user + 1]
        mine, count = _candidates_first(rows[begin:end], is_candidate)
        relevance, of_each = _relevance(mine[:count], value), _vectors_of(mine[:count], vector_at, vectors)
        likest = np.zeros(count)
        is_taken, turns = np.zeros(count, np.bool_), min(length, count)
        taken = np.empty(turns, np.int64)
        for turn in range(turns):
            best, best_score = -1, -np.inf
            for place in range(count):
                if is_taken[place]:
                    continue
                score = relevance[place] - weight * likest[place]
                if score > best_score or (score == best_score and mine[place] < mine[best]):
                    best, best_score = place, score
            is_taken[best], taken[turn] = True, best
            for place in range(count):
                if not is_taken[place]:
                    cosine = _dot(of_each[place], of_each[best])
                    likest[place] = cosine if turn == 0 else max(likest[place], cosine)
        _take(mine, is_taken, taken, turns, out[begin:end])
    return out


@_compiled
def determinantal(
    rows: Ints,
    bounds: Ints,
    length: int,
    value: Floats,
    is_candidate: Bools,
    vector_at: Ints,
    vectors: Vectors,
    weight: float,
) -> Ints:
    """Returns `rows` with, in each turn, the candidate that adds most to Σ r + weight / 2 × ln det S of the chosen.

    S is (1 + cosine) / 2, and 1 of a video with itself. Its Cholesky factor grows by a row a turn, so that a gain,
    r + weight / 2 × ln d², costs one product (Chen, Zhang and Zhou, NeurIPS 2018, algorithm 1).
    """
    out = np.empty_like(rows)
    for user in range(len(bounds) - 1):
        begin, end = bounds[user], bounds[user + 1]
        mine, count = _candidates_first(rows[begin:end], is_candidate)
        relevance, of_each = _relevance(mine[:count], value), _vectors_of(mine[:count], vector_at, vectors)
        is_taken, turns = np.zeros(count, np.bool_), min(length, count)
        taken, done = np.empty(turns, np.int64), 0
        variance, factor = np.ones(count), np.zeros((count, turns))
        while done < turns:
            best, best_gain = -1, -np.inf
            for place in range(count):
                if is_taken[place] or variance[place] < LEAST_VARIANCE:
                    continue
                gain = relevance[place] + weight / 2 * np.log(variance[place])
                if gain > best_gain or (gain == best_gain and mine[place] < mine[best]):
                    best, best_gain = place, gain
            if best < 0:
                break
            is_taken[best], taken[done] = True, best
            root = np.sqrt(variance[best])
            for place in range(count):
                if is_taken[place]:
                    continue
                likeness = (1 + _dot(of_each[place], of_each[best])) / 2
                step = (likeness - _dot(factor[place, :done], factor[best, :done])) / root
                factor[place, done] = step
                variance[place] -= step * step
            done += 1
        _take(mine, is_taken, taken, done, out[begin:end])
    return out
