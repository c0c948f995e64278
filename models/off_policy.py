"""What another policy would have earned, estimated from the log of one that drew its actions by known probabilities.

With reward r, logging propensity p, evaluation probability e of the logged action, and weight w = e / p, over rows:

    IPS    Σ w r / n                      Horvitz and Thompson (1952): unbiased, wide where weights are
    SNIPS  Σ w r / Σ w                    Swaminathan and Joachims (NeurIPS 2015): a little biased, never out of range
    DR     Σ (m + w (r - q)) / n          Dudík, Langford and Li (ICML 2011): q is a model's reward of the logged
                                          action, m its mean over the actions that the evaluation policy would draw

A value is of one slot: what users do later in the session is taken to be as it was. Unbiasedness needs true
propensities, above 0 for every action that the evaluation policy may take. The mean weight tells whether they were: it
estimates the share of the evaluation policy's probability that lies on actions the log could show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import ContractError, MissingDataError, UsageError
from models.bootstrap import REPLICATES, all_sums, estimate
from models.estimate import Estimate
from models.metrics import ratio

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LoggedRows:
    """Rows of a log, each (rows,), in any order: whose, what came of it, and two policies' probabilities of it.

    `unit` is what rows are resampled by: the user or, where rows are of unrelated people, the row. `reward` is any
    finite number, `propensity` in (0, 1] and `evaluation` in [0, 1] are the logging and the evaluation policy's
    probability of the logged action in its context. `predicted` and `expected`, both or neither, are a model's reward
    of the logged action, and its mean under the evaluation policy. The model must not have seen these rows' rewards.
    Raises MissingDataError for no row or no propensity, ContractError for any value out of range.
    """

    unit: NDArray[np.int64]
    reward: Floats
    propensity: Floats
    evaluation: Floats
    predicted: Floats | None = None
    expected: Floats | None = None

    def __post_init__(self) -> None:
        if len(self.reward) == 0:
            raise MissingDataError("the log has no row: no policy can be valued", next_step="give more days")
        if len(self.propensity) == 0 or np.isnan(self.propensity).all():
            raise MissingDataError(
                "the log has no propensities: without them nothing can be said of another policy",
                next_step="log, with every action, the probability by which it was drawn",
            )
        if (self.predicted is None) != (self.expected is None):
            raise UsageError("a model's rewards are needed of the logged action and of the evaluation policy, or not")
        faults = [fault for fault in self._faults() if fault]
        if faults:
            raise ContractError("; ".join(faults), where=f"{len(self.reward):,} logged rows")

    def _faults(self) -> list[str]:
        columns = {
            "unit": self.unit,
            "propensity": self.propensity,
            "evaluation": self.evaluation,
            "predicted": self.predicted,
            "expected": self.expected,
        }
        given = {name: column for name, column in columns.items() if column is not None}
        rows = len(self.reward)
        short = [f"{name} has {len(column):,} rows" for name, column in given.items() if len(column) != rows]
        if short:
            return short
        rewards = [column for column in (self.reward, self.predicted, self.expected) if column is not None]
        return [
            _count(~((self.propensity > 0) & (self.propensity <= 1)), "a propensity outside (0, 1]"),
            _count(~((self.evaluation >= 0) & (self.evaluation <= 1)), "an evaluation probability outside [0, 1]"),
            _count(~np.isfinite(np.sum(rewards, axis=0)), "a reward that is not a number"),
        ]


@dataclass(frozen=True)
class PolicyValue:
    """The evaluation policy's value by three estimators, and how far the log bears them out.

    `logged` is the mean reward of the log itself: the logging policy's value. `dr` is None without a model.
    `overlap` is the mean weight before clipping: the share of the evaluation policy's probability on actions that the
    log could show, 1 within its interval where that is all. `effective_rows` is Kish's (Σ w)² / Σ w²: as many rows of
    the policy itself would tell about as much. `clipped_rows` had their weight cut to the cap. `notes` say in words
    what an interval cannot: one unit, or a reward that never varies.
    """

    rows: int
    units: int
    logged: Estimate
    ips: Estimate
    snips: Estimate
    dr: Estimate | None
    overlap: Estimate
    effective_rows: float
    smallest_propensity: float
    largest_weight: float
    clipped_rows: int
    notes: tuple[str, ...]


def policy_value(
    log: LoggedRows, seed: int, *, most_weight: float = np.inf, replicates: int = REPLICATES
) -> PolicyValue:
    """Returns the value of the evaluation policy from `log`, with 95 % percentile intervals by bootstrap over units.

    Weights above `most_weight` are cut to it, which narrows IPS and DR and, for rewards of 0 and more, biases IPS
    downwards; by default none is. SNIPS is NaN where the evaluation policy would take no logged action. Raises
    UsageError for a `most_weight` of 0 or less.
    """
    if not most_weight > 0:
        raise UsageError(f"the largest weight must be above 0, not {most_weight}")
    raw = log.evaluation / log.propensity
    weight = np.minimum(raw, most_weight)
    rows = [np.ones_like(weight), raw, weight, log.reward, weight * log.reward]
    if log.predicted is not None and log.expected is not None:
        rows.append(log.expected + weight * (log.reward - log.predicted))
    _, unit = np.unique(log.unit, return_inverse=True)
    of_units = np.column_stack([np.bincount(unit, column) for column in rows]).astype(np.float64)
    sums = all_sums(of_units, seed, replicates)
    count, raws, weights, rewards, earned = range(5)

    def per(top: int, bottom: int = count) -> Estimate:
        return estimate(ratio(sums[:, top], sums[:, bottom]))

    squares = float(np.square(weight).sum())
    return PolicyValue(
        rows=len(weight),
        units=len(of_units),
        logged=per(rewards),
        ips=per(earned),
        snips=per(earned, weights),
        dr=per(earned + 1) if len(rows) > earned + 1 else None,
        overlap=per(raws),
        effective_rows=float(sums[0, weights]) ** 2 / squares if squares else 0.0,
        smallest_propensity=float(log.propensity.min()),
        largest_weight=float(raw.max()),
        clipped_rows=int((raw > most_weight).sum()),
        notes=_notes(log, len(of_units), weight),
    )


def smoothed_rates(shown: Floats, came: Floats, strength: float) -> Floats:
    """Returns each action's reward per showing, (actions,), shrunk to the mean of all: (came + k mean) / (shown + k).

    `shown` counts showings and `came` sums rewards, both (actions,); k is `strength`, in showings, above 0. Without any
    showing every rate is 0.
    """
    mean = came.sum() / shown.sum() if shown.sum() else 0.0
    rates: Floats = (came + strength * mean) / (shown + strength)
    return rates


def _count(wrong: NDArray[np.bool_], what: str) -> str:
    return f"{np.count_nonzero(wrong):,} with {what}" if wrong.any() else ""


def _notes(log: LoggedRows, units: int, weight: Floats) -> tuple[str, ...]:
    notes = []
    if units == 1:
        notes.append("one unit: its intervals have no width, and say nothing")
    if np.ptp(log.reward) == 0:
        notes.append(f"every reward is {log.reward[0]:g}: how rewards vary is not known")
    if not weight.any():
        notes.append("the evaluation policy would take no logged action")
    return tuple(notes)
