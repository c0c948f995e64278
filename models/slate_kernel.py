"""The loops of slates, compiled by numba: one pass over many users' lists, one thread, no lock of Python's held."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

_compiled = njit(cache=True, nogil=True, error_model="numpy")

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Marks = NDArray[np.uint64]

NOBODY = -1


@_compiled
def popular_behind(
    videos: Ints,
    authors: Ints,
    bounds: Ints,
    seen: Ints,
    seen_bounds: Ints,
    blocked: Ints,
    blocked_bounds: Ints,
    popular: Ints,
    popular_authors: Ints,
    most: int,
) -> tuple[Ints, Ints, Bools, Bools]:
    """Returns rows and bounds of each user's videos and, behind them, the first `most` of `popular` that are new to
    them, and which of `videos` the user has seen, and which are of an author whom they have blocked.

    `videos` are all users' candidates, `authors` whose they are; `seen` what users have seen and `blocked` whom they
    have blocked, ascending for each user. Row numbers of popular videos count on from those of `videos`. A popular
    video that is a candidate, seen or of a blocked author is left out.
    """
    users = len(bounds) - 1
    rows = np.empty(len(videos) + users * min(most, len(popular)), np.int64)
    out_bounds = np.zeros(users + 1, np.int64)
    is_seen, is_blocked = np.zeros(len(videos), np.bool_), np.zeros(len(videos), np.bool_)
    at = 0
    for user in range(users):
        met = seen[seen_bounds[user] : seen_bounds[user + 1]]
        unwanted = blocked[blocked_bounds[user] : blocked_bounds[user + 1]]
        own = videos[bounds[user] : bounds[user + 1]]
        for row in range(bounds[user], bounds[user + 1]):
            rows[at] = row
            is_seen[row] = _holds(met, videos[row])
            is_blocked[row] = _holds(unwanted, authors[row])
            at += 1
        sorted_own, found = np.sort(own), 0
        for place in range(len(popular)):
            if found == most:
                break
            if _holds(unwanted, popular_authors[place]):
                continue
            if not _holds(met, popular[place]) and not _holds(sorted_own, popular[place]):
                rows[at] = len(videos) + place
                at += 1
                found += 1
        out_bounds[user + 1] = at
    return rows[:at].copy(), out_bounds, is_seen, is_blocked


@_compiled
def _holds(ascending: Ints, wanted: int) -> bool:
    at = np.searchsorted(ascending, wanted)
    return bool(at < len(ascending) and ascending[at] == wanted)


@_compiled
def _broken(kinds: Ints, row: int, placed: Ints, slot: int, most: Ints, within: Ints) -> int:
    """Returns a bit for each cap that `row` would break in `slot`, the first cap lowest."""
    broken = 0
    for cap in range(len(most)):
        kind, there = kinds[cap, row], 0
        if kind < 0:
            continue
        for earlier in range(max(0, slot - within[cap] + 1), slot):
            there += kinds[cap, placed[earlier]] == kind
        if there >= most[cap]:
            broken |= 1 << cap
    return broken


@_compiled
def _reserved(mine: Ints, rank: Ints, count: int) -> Ints:
    """Returns the places in `mine` of the `count` rows of smallest rank above 0, ties by the smaller row."""
    found = np.empty(min(count, len(mine)), np.int64)
    filled = 0
    for place in range(len(mine)):
        row = mine[place]
        if rank[row] <= 0:
            continue
        at = filled
        while at > 0 and (rank[mine[found[at - 1]]], mine[found[at - 1]]) > (rank[row], row):
            at -= 1
        if at == len(found):
            continue
        filled = min(filled + 1, len(found))
        for later in range(filled - 1, at, -1):
            found[later] = found[later - 1]
        found[at] = place
    return found[:filled]


@_compiled
def place(
    rows: Ints,
    bounds: Ints,
    marks: Marks,
    length: int,
    kinds: Ints,
    most: Ints,
    within: Ints,
    bits: Marks,
    rank: Ints,
    least: int,
    every: int,
    floor_bit: Any,
) -> tuple[Ints, Marks, Bools]:
    """Returns rows, marks, which rows the floor holds: the first `length` slots of each user filled, the rest behind.

    A slot takes the first waiting row that breaks no cap; where there is none, the first of those that keep the most
    caps counted from the first named until one is broken. The floor's slots, the middle `least` of every `every`, take
    its rows by rank, whatever caps say; they take no other slot. `kinds` is (caps, columns' rows), `bits` the mark of
    each cap: set where a row was passed over for it, and the next higher bit where a row was placed against it.
    """
    out, out_marks = np.empty_like(rows), np.empty_like(marks)
    is_held = np.zeros(len(rows), np.bool_)
    for user in range(len(bounds) - 1):
        begin, count = bounds[user], bounds[user + 1] - bounds[user]
        mine, mark = rows[begin : begin + count], marks[begin : begin + count].copy()
        placed = out[begin : begin + count]
        top = min(length, count)
        first = every // 2
        own_slots = 0
        for slot in range(top):
            own_slots += first <= slot % every < first + least
        reserved = _reserved(mine, rank, own_slots)
        # `after[p]` is the place that waits behind place p; the list's head is kept at its end.
        after = np.empty(count + 1, np.int64)
        after[count] = 0
        for here in range(count):
            after[here] = here + 1
        is_reserved = np.zeros(count, np.bool_)
        is_reserved[reserved] = True
        last = count
        for here in range(count):
            if is_reserved[here]:
                after[last] = after[here]
            else:
                last = here
        taken = 0
        for slot in range(top):
            if first <= slot % every < first + least and taken < len(reserved):
                pick = reserved[taken]
                taken += 1
                broken = _broken(kinds, mine[pick], placed, slot, most, within)
                mark[pick] |= floor_bit
                is_held[begin + slot] = True
            else:
                pick, broken = _next(mine, mark, after, placed, slot, kinds, most, within, bits)
            for cap in range(len(most)):
                if broken >> cap & 1:
                    mark[pick] |= bits[cap] << np.uint64(1)
            placed[slot] = mine[pick]
            out_marks[begin + slot] = mark[pick]
        here = after[count]
        for slot in range(top, count):
            placed[slot] = mine[here]
            out_marks[begin + slot] = mark[here]
            here = after[here]
    return out, out_marks, is_held


@_compiled
def _next(
    mine: Ints,
    mark: Marks,
    after: Ints,
    placed: Ints,
    slot: int,
    kinds: Ints,
    most: Ints,
    within: Ints,
    bits: Marks,
) -> tuple[int, int]:
    """Takes the row that `slot` is for from those that wait; returns its place and the caps it breaks."""
    head = len(mine)
    behind, best_behind, best_broken, best_kept = head, NOBODY, 0, -1
    while after[behind] < head:
        broken = _broken(kinds, mine[after[behind]], placed, slot, most, within)
        kept = 0
        while kept < len(most) and not broken >> kept & 1:
            kept += 1
        if kept > best_kept:
            best_behind, best_broken, best_kept = behind, broken, kept
        if kept == len(most):
            break
        behind = after[behind]
    pick = after[best_behind]
    here = after[head]
    while here != pick:
        broken = _broken(kinds, mine[here], placed, slot, most, within)
        for cap in range(len(most)):
            if broken >> cap & 1:
                mark[here] |= bits[cap]
        here = after[here]
    after[best_behind] = after[pick]
    return pick, best_broken
