"""Looks for value weights that give more of one thing and not less of the others, on lists that were shown.

A user's impressions of some days are put in order of value; what came of the first few is what those weights would have
given, as far as the logs can tell: nothing is known of videos that were not shown, and where a video stood in the log
has its part in what came of it. What is found here is a candidate for an experiment, not its result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError, unknown
from models.bootstrap import interval, resampled_sums
from models.estimate import Estimate
from models.gate import HEAD
from models.heads import HEADS, head_names
from models.metrics import tie_order
from models.value import values

Floats = NDArray[np.float64]

DEPTH = 5
GUARDED = 100
FACTOR = 8.0
"""A weight is looked for between an eighth of the recipe's and eight times it, within the head's limit."""


@dataclass(frozen=True)
class Lists:
    """Impressions of users who were shown more than DEPTH: user, video int64 (rows,), and, (rows, heads in the order of
    HEADS), `predictions` and `outcomes` (the labels)."""

    user: NDArray[np.int64]
    video: NDArray[np.int64]
    predictions: Floats
    outcomes: Floats


@dataclass(frozen=True)
class Trial:
    """Weights that were tried, by head, and what the first of every list gave: mean outcome by head."""

    weights: dict[str, float]
    given: dict[str, float]
    is_within: bool


def long_enough(lists: Lists) -> Lists:
    """Returns the rows of users who were shown more than DEPTH; raises UsageError where there are none."""
    _, place, shown = np.unique(lists.user, return_inverse=True, return_counts=True)
    there = shown[place] > DEPTH
    if not there.any():
        raise UsageError(f"no user was shown more than {DEPTH} videos: no order can be told from another")
    return Lists(*(column[there] for column in vars(lists).values()))


def given(lists: Lists, weights: Mapping[str, float]) -> Floats:
    """Returns the mean outcome of the first DEPTH of every user's list by value, float64 (users, heads)."""
    order = np.lexsort((tie_order(lists.video), -values(lists.predictions, weights), lists.user))
    user = lists.user[order]
    first = order[np.arange(len(user)) - np.searchsorted(user, user) < DEPTH]
    means: Floats = lists.outcomes[first].reshape(-1, DEPTH, len(HEADS)).mean(axis=1)
    return means


def search(
    lists: Lists, current: Mapping[str, float], objective: str, tolerance: float, trials: int, seed: int
) -> list[Trial]:
    """Returns every trial, the `current` weights first, then the `trials` that Optuna's TPE sampler made with `seed`.

    A trial is within the guardrails if no other head that has a weight, and at least GUARDED outcomes with the current
    ones (fewer are chance), gives less than with those by more than the share `tolerance` (of a head to avoid: more).
    Weights of 0 stay 0; that of HEAD, the unit of value, stays as it is. Raises UsageError for an unknown objective, or
    where no weight is left to be moved.
    """
    import optuna

    if objective not in head_names():
        raise unknown("head", objective, head_names(), where="the objective")
    moved = [head for head in HEADS if current[head.name] and head.name != HEAD]
    if not moved:
        raise UsageError("no weight but that of the unit is other than 0: there is nothing to search")
    before = given(lists, current)
    guarded = [
        name
        for name, outcomes in zip(head_names(), DEPTH * before.sum(axis=0), strict=True)
        if name != objective and current[name] and outcomes >= GUARDED
    ]
    first = Trial(dict(current), _means(before), True)
    found = [first]

    def one(trial: optuna.Trial) -> float:
        weights = dict(current)
        for head in moved:
            factor = trial.suggest_float(head.name, 1 / FACTOR, FACTOR, log=True)
            weights[head.name] = head.sign * min(abs(current[head.name]) * factor, head.weight_limit)
        means = _means(given(lists, weights))
        lost = max((_lost(name, first.given, means) for name in guarded), default=0.0) - tolerance
        trial.set_constraint("lost", lost)
        found.append(Trial(weights, means, lost <= 0))
        return _sign(objective) * means[objective]

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed)
    optuna.create_study(direction="maximize", sampler=sampler).optimize(one, n_trials=trials)
    return found


def best(trials: list[Trial], objective: str) -> Trial:
    """Returns the trial within the guardrails that gives most of the objective; the earliest of equals."""
    within = [trial for trial in trials if trial.is_within]
    return max(within, key=lambda trial: _sign(objective) * trial.given[objective])


def front(trials: list[Trial], objective: str, other: str) -> list[Trial]:
    """Returns the trials that no other betters in both, from most of `objective` to most of `other`."""
    ordered = sorted(
        trials, key=lambda one: (-_sign(objective) * one.given[objective], -_sign(other) * one.given[other])
    )
    kept: list[Trial] = []
    for one in ordered:
        if not kept or _sign(other) * one.given[other] > _sign(other) * kept[-1].given[other]:
            kept.append(one)
    return kept


def differences(
    lists: Lists, weights: Mapping[str, float], current: Mapping[str, float], seed: int
) -> dict[str, Estimate]:
    """Returns by head what `weights` give more than `current` ones, with 95 % intervals, bootstrap over users."""
    more = given(lists, weights) - given(lists, current)
    drawn = resampled_sums(np.column_stack([more, np.ones(len(more))]), seed)
    means = drawn[:, :-1] / drawn[:, -1:]
    return {
        name: Estimate(float(more[:, place].mean()), *interval(means[:, place]))
        for place, name in enumerate(head_names())
    }


def _means(by_user: Floats) -> dict[str, float]:
    return dict(zip(head_names(), map(float, by_user.mean(axis=0)), strict=True))


def _lost(name: str, before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Returns the share of what `before` gives of a head that `after` does not."""
    return _sign(name) * (before[name] - after[name]) / before[name]


def _sign(name: str) -> int:
    return HEADS[head_names().index(name)].sign
