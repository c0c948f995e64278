"""Whether the challenger orders anyone's videos worse than the champion: the paired difference in GAUC by cohort.

A cohort's GAUC counts, of each user's pairs of a positive and a negative, those that a row of the cohort is in. A tag
has a row or two in a list, mostly of one label: lists of its rows alone would leave few users, while AUC over all
users' rows would ask who watches much, which moves nobody's feed. For cohorts of users it is GAUC itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.bootstrap import all_sums
from models.examples import Examples
from models.gate import EVERYONE, HEAD
from models.heads import HEADS, head_names
from models.metrics import Floats, Integers, ratio

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class CohortDifference:
    """GAUC of long views within a cohort, challenger minus champion, between -1 and 1.

    `rows` are the cohort's impressions, `users` those with a pair of it. `low`, `high`: its 95 % interval, users being
    what varies; all cohorts judged together lie within theirs in 95 % of samples.
    """

    cohort: str
    rows: int
    users: int
    value: float
    low: float
    high: float


def differences(
    rows: Examples,
    challenger: NDArray[np.float64],
    champion: NDArray[np.float64],
    groups: Mapping[str, Mask],
    least_rows: int,
    seed: int,
) -> tuple[CohortDifference, ...]:
    """Returns the differences of everyone and of those of `groups` that have `least_rows` impressions and a pair.

    `challenger` and `champion` are predictions (rows, heads in the order of HEADS).
    """
    column = head_names().index(HEAD)
    observed = rows.label(HEADS[column].label)
    there = ~np.isnan(observed)
    labels = observed[there].astype(np.float64)
    masks = {cohort: mask[there] for cohort, mask in groups.items()}
    masks = {cohort: mask for cohort, mask in masks.items() if cohort == EVERYONE or mask.sum() >= least_rows}
    new, old = (_Lists.of(rows.user[there], labels, scores[there, column]) for scores in (challenger, champion))
    sums = {cohort: _sums(new, old, mask) for cohort, mask in masks.items()}
    sums = {cohort: found for cohort, found in sums.items() if found[:, 1].any()}
    if not sums:
        return ()
    drawn = all_sums(np.hstack(list(sums.values())), seed)
    values = np.column_stack([ratio(drawn[:, i], drawn[:, i + 1]) for i in range(0, drawn.shape[1], 2)])
    width = _width(values)
    return tuple(
        CohortDifference(
            cohort, int(masks[cohort].sum()), int((found[:, 1] > 0).sum()), value, value - wide, value + wide
        )
        for (cohort, found), value, wide in zip(sums.items(), values[0].tolist(), width.tolist(), strict=True)
    )


def cohort_gauc(user: Integers, labels: Floats, scores: Floats, mask: Mask) -> float:
    """Returns the GAUC of rows (rows,) within the cohort `mask`; NaN where no pair has a row of it.

    A user counts by the number of positives that are in such a pair.
    """
    lists = _Lists.of(user, labels, scores)
    won, pairs, positives = lists.won(mask), *lists.pairs(mask)
    share = np.divide(won, pairs, out=np.zeros_like(won), where=pairs > 0)
    top, bottom = np.array([np.sum(positives * share)]), np.array([positives.sum()])
    return float(ratio(top, bottom)[0])


@dataclass(frozen=True)
class _Lists:
    """Rows sorted by user and score: for each, its user's place and where its user and its equal scores begin and end.

    `order` are the places of the rows as given; all else is in sorted order, each (rows,) but `users`, their number.
    """

    order: NDArray[np.intp]
    user: NDArray[np.intp]
    users: int
    positive: Mask
    user_begins: NDArray[np.intp]
    tie_begins: NDArray[np.intp]
    tie_ends: NDArray[np.intp]

    @classmethod
    def of(cls, users: Integers, labels: Floats, scores: Floats) -> _Lists:
        _, place = np.unique(users, return_inverse=True)
        order = np.lexsort((scores, place))
        user, score = place[order], scores[order]
        new_user = np.append(True, user[1:] != user[:-1])[: len(user)]
        new_tie = new_user | np.append(True, score[1:] != score[:-1])[: len(user)]
        ties = np.cumsum(new_tie) - 1
        tie_begins = np.flatnonzero(new_tie)
        tie_ends = np.append(tie_begins[1:], len(user))
        count = int(user[-1]) + 1 if len(user) else 0
        user_begins = np.flatnonzero(new_user)[user]
        return cls(order, user, count, labels[order] > 0, user_begins, tie_begins[ties], tie_ends[ties])

    def won(self, mask: Mask) -> Floats:
        """Returns each user's pairs with a row of `mask` whose positive scores higher, equal scores half."""
        inside = mask[self.order][self.positive]
        below = np.where(inside, self._below_of_all, self._below(~self.positive & mask[self.order]))
        return _by_user(self.user[self.positive], below, self.users)

    def pairs(self, mask: Mask) -> tuple[Floats, Floats]:
        """Returns each user's pairs with a row of `mask`, and positives that are in one."""
        inside, user = mask[self.order], self.user[self.positive]
        every = np.bincount(self.user, ~self.positive, self.users)
        within = np.bincount(self.user, ~self.positive & inside, self.users)
        partners = np.where(inside[self.positive], every[user], within[user])
        return _by_user(user, partners, self.users), _by_user(user, partners > 0, self.users)

    @cached_property
    def _below_of_all(self) -> Floats:
        return self._below(~self.positive)

    def _below(self, counted: Mask) -> Floats:
        """Returns, for every positive, the `counted` rows of its user that score lower, equal ones half."""
        before = np.append(0, np.cumsum(counted))
        begins, ends = self.tie_begins[self.positive], self.tie_ends[self.positive]
        below: Floats = (before[begins] + before[ends]) / 2 - before[self.user_begins[self.positive]]
        return below


def _by_user(user: NDArray[np.intp], numbers: NDArray[Any], users: int) -> Floats:
    return np.bincount(user, numbers, users).astype(np.float64, copy=False)


def _sums(new: _Lists, old: _Lists, mask: Mask) -> Floats:
    """Returns float64 (users, 2): positives times the difference of the user's share of pairs won, and positives."""
    pairs, positives = new.pairs(mask)
    more = np.divide(new.won(mask) - old.won(mask), pairs, out=np.zeros_like(pairs), where=pairs > 0)
    return np.column_stack([positives * more, positives])


def _width(values: Floats) -> Floats:
    """Returns half the width (cohorts,) of intervals that all hold together, of `values` (1 + replicates, cohorts).

    Standard errors of the bootstrap, times the 95 % percentile of the largest deviation of a replicate in them (the
    sup-t band of Montiel Olea and Plagborg-Møller 2019): judged one by one, one in forty cohorts would seem harmed.
    """
    away = np.abs(np.nan_to_num(values[1:] - values[0]))
    error = np.sqrt(np.mean(away**2, axis=0))
    largest = np.max(np.divide(away, error, out=np.zeros_like(away), where=error > 0), axis=1)
    width: Floats = error * np.percentile(largest, 95)
    return width
