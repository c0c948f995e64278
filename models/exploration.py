"""Slots of a feed that are drawn at random, and the probability of every row: docs/exploration.md derives it.

Exploration comes after every rule. Of a slate of L slots, O are open: those that no floor holds. E are the videos to
explore: the candidates that the rules left over or, where they are fewer than the budget, all that was left over,
popular videos too. K slots, the budget or as many as O and E allow, are drawn from the open ones, every set of them
alike, and take K different videos of E, drawn alike. What stood there is not shown. The probability of a video in its
slot, given the candidates, is then

    a row that a floor holds            1
    a row that the rules placed         1 − K / O
    a row that was drawn                K / (O E)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.rule import Lists

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_compiled = njit(cache=True, nogil=True, error_model="numpy")


@dataclass(frozen=True)
class Exploration:
    """`slots` of every feed, at most, are explored. `recipe_hash` (hexadecimal), `ds` and `hour` seed the draws.

    `hour` is that of the day after at which a feed is made anew; 0 for the night's.
    """

    slots: int
    recipe_hash: str
    ds: date
    hour: int = 0

    def uniforms(self, users: Ints) -> Floats:
        """Returns two numbers in [0, 1) for each slot to explore, (users, 2 slots), for each user always the same."""
        # Days stay below 2 ** 22: one number says both, and that of hour 0 is the day's own.
        seed = (int(self.recipe_hash, 16), self.ds.toordinal() + (self.hour << 22))
        drawn = np.empty((len(users), 2 * self.slots))
        for row, user in enumerate(users.tolist()):
            np.random.default_rng(np.random.SeedSequence((*seed, user))).random(out=drawn[row])
        return drawn


def explored(lists: Lists, is_candidate: Bools, length: int, uniforms: Floats) -> tuple[Ints, Floats, Bools, Ints]:
    """Returns each user's slate after exploration: rows, propensities, which rows were drawn, all users' in turn, and
    the place of each in `lists`.

    `is_candidate`, beside the columns, is false for popular videos; `uniforms` has two numbers a slot to explore.
    """
    return _explored(lists.rows, lists.bounds, lists.is_held, is_candidate, length, uniforms)


@_compiled
def _explored(
    rows: Ints, bounds: Ints, is_held: Bools, is_candidate: Bools, length: int, uniforms: Floats
) -> tuple[Ints, Floats, Bools, Ints]:
    users = len(bounds) - 1
    places = np.empty(min(users * length, len(rows)), np.int64)
    propensity = np.ones(len(places))
    is_drawn = np.zeros(len(places), np.bool_)
    at = 0
    for user in range(users):
        begin, end = bounds[user], bounds[user + 1]
        top = min(length, end - begin)
        slots, videos = np.empty(top, np.int64), np.empty(end - begin - top, np.int64)
        opened = left = 0
        for slot in range(top):
            places[at + slot] = begin + slot
            if not is_held[begin + slot]:
                slots[opened] = at + slot
                opened += 1
        for place in range(begin + top, end):
            if is_candidate[rows[place]]:
                videos[left] = place
                left += 1
        budget = uniforms.shape[1] // 2
        if left < budget:
            left = len(videos)
            videos[:] = np.arange(begin + top, end)
        count = min(budget, opened, left)
        for slot in slots[:opened]:
            propensity[slot] = 1.0 - count / opened
        for turn in range(count):
            _to_front(slots[:opened], turn, uniforms[user, 2 * turn])
            _to_front(videos[:left], turn, uniforms[user, 2 * turn + 1])
            places[slots[turn]] = videos[turn]
            propensity[slots[turn]] = count / (opened * left)
            is_drawn[slots[turn]] = True
        at += top
    return rows[places[:at]], propensity[:at], is_drawn[:at], places[:at]


@_compiled
def _to_front(values: Ints, turn: int, uniform: float) -> None:
    """Swaps one of the values from place `turn` on, all alike, to that place: a step of Fisher and Yates' shuffle."""
    other = turn + int(uniform * (len(values) - turn))
    values[turn], values[other] = values[other], values[turn]
