"""How much more a video is looked at in one place of a session than in another, learnt from randomised slots.

In a slot that exploration filled, the video has nothing to do with the place it stands at; what users do there falls
with the place only because they look less. But those who stay for long sessions are other users, so places are compared
within users: an outcome of user u at place k is expected `shown × rate of u × examination of k`, and both factors are
fitted to the totals in turn (the maximum-likelihood fit of a Poisson model with a rate per user; Deming & Stephan's
proportional fitting, 1940). Examination is 1 at the first place.

Outcomes that need no look, such as a skip, would tell nothing: give it one that does, such as a long view.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError
from models.bootstrap import interval
from models.estimate import Estimate

Floats = NDArray[np.float64]

REPLICATES = 200
ROUNDS, ENOUGH = 200, 1e-9
LEAST = 30
"""Outcomes that the first place needs, and each span of later places."""


@dataclass(frozen=True)
class Examination:
    """Estimates of the places that begin at `first` (1-based, ascending), each standing for all until the next one."""

    first: tuple[int, ...]
    estimates: tuple[Estimate, ...]


def at_places(found: Examination, places: int) -> list[float]:
    """Returns the examination of places 1 to `places`."""
    span = np.searchsorted(found.first, np.arange(1, places + 1), side="right") - 1
    return [found.estimates[each].value for each in span]


def examination(
    user: NDArray[np.int64], position: NDArray[np.int64], outcome: NDArray[np.bool_], seed: int
) -> Examination:
    """Returns examination by place, with 95 % intervals by bootstrap over users, of rows (rows,) from random slots.

    Raises UsageError where the first place has fewer than LEAST outcomes.
    """
    first = _spans(position, outcome)
    place = np.searchsorted(first, position, side="right") - 1
    _, who = np.unique(user, return_inverse=True)
    cell = who * len(first) + place
    size = (who.max() + 1) * len(first)
    shown = np.bincount(cell, minlength=size).reshape(-1, len(first)).astype(np.float64)
    came: Floats = np.bincount(cell, outcome, size).reshape(-1, len(first)).astype(np.float64)
    whole = _fit(shown, came, np.ones(len(shown)))
    generator = np.random.default_rng(seed)
    weights = generator.poisson(1.0, (REPLICATES, len(shown))).astype(np.float64)
    drawn = np.array([_fit(shown, came, weight) for weight in weights])
    estimates = tuple(Estimate(float(whole[k]), *interval(drawn[:, k])) for k in range(len(first)))
    return Examination(tuple(int(one) for one in first), estimates)


def _spans(position: NDArray[np.int64], outcome: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Returns the places at which spans begin: each has LEAST outcomes, the last takes what is left."""
    came = np.bincount(position, outcome)
    at_first = int(came[1]) if len(came) > 1 else 0
    if at_first < LEAST:
        raise UsageError(
            f"the first place of a session has {at_first} outcomes in random slots, it needs {LEAST}",
            where="table impressions, is_random and position",
            next_step="give more days, or logs that explore and record positions (KuaiRand's slice has no positions)",
        )
    begins, start, pending = [1], 2, 0.0
    for place in range(2, len(came)):
        pending += came[place]
        if pending >= LEAST:
            begins.append(start)
            start, pending = place + 1, 0.0
    return np.array(begins)


def _fit(shown: Floats, came: Floats, weight: Floats) -> Floats:
    """Returns examination by place (places,) of counts (users, places), users being counted `weight` times."""
    total, of_user = weight @ came, came.sum(axis=1)
    looked = np.ones(shown.shape[1])
    for _ in range(ROUNDS):
        expected = shown @ looked
        rate = np.divide(of_user, expected, out=np.zeros(len(shown)), where=expected > 0)
        found: Floats = total / np.maximum((weight * rate) @ shown, np.finfo(float).tiny)
        found /= found[0] if found[0] > 0 else np.nan
        if np.max(np.abs(found - looked)) < ENOUGH:
            break
        looked = found
    return found
