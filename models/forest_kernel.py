"""The loops of models/forest.py, compiled by numba: one thread, no lock of Python's held."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.forest import CATEGORY, MOST_LEAVES, NO_MISSING, ZERO_MISSING

ROWS = 64
ZERO = 1e-35
"""LightGBM reads a float32 this near to 0 as 0 (kZeroThreshold)."""

_compiled = njit(cache=True, nogil=True, error_model="numpy")

Places = NDArray[np.uint32]
Starts = NDArray[np.int64]
Words = NDArray[np.uint64]
Floats = NDArray[np.float64]


@_compiled
def _ask(
    matrix: NDArray[np.float32],
    first: int,
    count: int,
    column_feature: Starts,
    column_missing: Starts,
    edges: Floats,
    edges_at: Starts,
    words_at: Starts,
    at_edge: Words,
    words: Words,
) -> None:
    """Fills `words` with the rows that go right by each condition on a threshold.

    `at_edge` is left with the rows of each category, for `_ask_sets`.
    """
    for column in range(len(column_feature)):
        feature, missing = column_feature[column], column_missing[column]
        begin, width = edges_at[column], edges_at[column + 1] - edges_at[column]
        mine = at_edge[begin + column : begin + column + width + 1]
        mine[:] = 0
        absent = np.uint64(0)
        for row in range(count):
            value, bit = float(matrix[first + row, feature]), np.uint64(1) << np.uint64(row)
            if abs(value) <= ZERO or (missing in (NO_MISSING, ZERO_MISSING) and np.isnan(value)):
                value = 0.0
            if np.isnan(value) or (missing == ZERO_MISSING and value == 0.0):
                absent |= bit
                continue
            if missing == CATEGORY:
                value = np.trunc(value)
            low = np.searchsorted(edges[begin : begin + width], value)
            if missing != CATEGORY or (low < width and edges[begin + low] == value):
                mine[low] |= bit
        if missing == CATEGORY:
            continue
        above = np.uint64(0)
        for edge in range(width, 0, -1):
            above |= mine[edge]
            word = words_at[column] + 2 * (edge - 1)
            words[word] = above
            words[word + 1] = above | absent


@_compiled
def _ask_sets(
    edges_at: Starts, at_edge: Words, members: Places, members_at: Starts, set_column: Starts, words: Words
) -> None:
    """Fills `words` with the rows that go right by each set: those of no category in it."""
    for number in range(len(set_column)):
        column, inside = set_column[number], np.uint64(0)
        for member in range(members_at[number], members_at[number + 1]):
            inside |= at_edge[edges_at[column] + column + members[member]]
        words[number] = ~inside


@_compiled
def _number_leaves(reached: Words, leaves: int, leaf: Places) -> None:
    """Fills `leaf` with the number of the leaf that each row reached, bit by bit: a word a bit, then both halves of it.

    Needs MOST_LEAVES words of `reached`; those beyond the last leaf are cleared.
    """
    reached[leaves:MOST_LEAVES] = 0
    bit_0 = bit_1 = bit_2 = bit_3 = bit_4 = bit_5 = np.uint64(0)
    for eight in range(0, MOST_LEAVES, 8):
        r = reached[eight : eight + 8]
        upper = r[4] | r[5] | r[6] | r[7]
        bit_0 |= r[1] | r[3] | r[5] | r[7]
        bit_1 |= r[2] | r[3] | r[6] | r[7]
        bit_2 |= upper
        some = upper | r[0] | r[1] | r[2] | r[3]
        if eight & 8:
            bit_3 |= some
        if eight & 16:
            bit_4 |= some
        if eight & 32:
            bit_5 |= some
    one = np.uint32(1)
    for half in range(0, ROWS, ROWS // 2):
        shift = np.uint64(half)
        low_0, low_1, low_2 = np.uint32(bit_0 >> shift), np.uint32(bit_1 >> shift), np.uint32(bit_2 >> shift)
        low_3, low_4, low_5 = np.uint32(bit_3 >> shift), np.uint32(bit_4 >> shift), np.uint32(bit_5 >> shift)
        for row in range(ROWS // 2):
            at = np.uint32(row)
            leaf[half + row] = (
                (low_0 >> at & one)
                | (low_1 >> at & one) << np.uint32(1)
                | (low_2 >> at & one) << np.uint32(2)
                | (low_3 >> at & one) << np.uint32(3)
                | (low_4 >> at & one) << np.uint32(4)
                | (low_5 >> at & one) << np.uint32(5)
            )


@_compiled
def summed(
    matrix: NDArray[np.float32],
    column_feature: Starts,
    column_missing: Starts,
    edges: Floats,
    edges_at: Starts,
    words_at: Starts,
    members: Places,
    members_at: Starts,
    set_column: Starts,
    condition: Places,
    left: Places,
    right: Places,
    nodes_at: Starts,
    leaves: Floats,
    leaves_at: Starts,
    model: Starts,
    models: int,
) -> Floats:
    """Returns sums of leaves, float64 (rows, models); the arguments are the fields of a Forest."""
    rows = matrix.shape[0]
    found = np.zeros((rows, models))
    words = np.zeros(words_at[-1] + len(set_column), np.uint64)
    at_edge = np.zeros(len(edges) + len(edges_at), np.uint64)
    reached = np.zeros(2 * MOST_LEAVES, np.uint64)
    leaf = np.zeros(ROWS, np.uint32)
    sums = np.zeros((models, ROWS))
    for first in range(0, rows, ROWS):
        count = min(ROWS, rows - first)
        _ask(matrix, first, count, column_feature, column_missing, edges, edges_at, words_at, at_edge, words)
        _ask_sets(edges_at, at_edge, members, members_at, set_column, words[words_at[-1] :])
        sums[:] = 0.0
        for tree in range(len(model)):
            begin, nodes = nodes_at[tree], nodes_at[tree + 1] - nodes_at[tree]
            # Rows beyond the last are carried along: their sums are thrown away.
            reached[0] = ~np.uint64(0)
            for node in range(begin, begin + nodes):
                here = reached[node - begin]
                goes_right = here & words[condition[node]]
                reached[left[node]] = here ^ goes_right
                reached[right[node]] = goes_right
            _number_leaves(reached[nodes:], nodes + 1, leaf)
            values, mine = leaves[leaves_at[tree] :], sums[model[tree]]
            for row in range(ROWS):
                mine[row] += values[leaf[row]]
        for row in range(count):
            for place in range(models):
                found[first + row, place] = sums[place, row]
    return found
