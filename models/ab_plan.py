"""How many users an experiment needs, what it could show, and whether its users were split as planned.

Users are dealt to two arms, at random and for good: the user is the unit, and all rows of one user are one observation.
With σ the deviation between users, n the users of each arm, and z the quantiles of the standard normal distribution:

    n = 2 σ² (z(1 - α/2) + z(power))² / δ²        shows an effect δ, two-sided at level α (Kohavi, Tang and Xu,
                                                  Trustworthy Online Controlled Experiments, 2020, chapter 17)
    y = R + (top - R bottom) / mean(bottom)       a ratio R = Σ top / Σ bottom as a mean over users: the delta method
                                                  (Deng, Knoblich and Lu, KDD 2018)
    y - θ (x - mean(x)), θ = cov(x, y) / var(x)   CUPED: with x of the days before, σ² shrinks by ρ², their squared
                                                  correlation (Deng, Xu, Kohavi and Walker, WSDM 2013)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from core.errors import MissingDataError, UsageError

Floats = NDArray[np.float64]

ALARM = 0.001
"""Below this p-value a split is not the planned one (Fabijan et al., KDD 2019, warn of looser levels)."""


@dataclass(frozen=True)
class Design:
    """A two-sided test at level `alpha` that is to show an effect in a share `power` of experiments, both in (0, 1).

    Raises UsageError for any other, and where the power is not above half of alpha: it is that without any user.
    """

    alpha: float = 0.05
    power: float = 0.8

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1 or not self.alpha / 2 < self.power < 1:
            raise UsageError(
                f"alpha {self.alpha:g} and power {self.power:g} make no test",
                choices=["alpha between 0 and 1", "power between half of alpha and 1"],
            )

    @property
    def deviations(self) -> float:
        """Standard errors of the difference that an effect must measure: z(1 - alpha/2) + z(power)."""
        return NormalDist().inv_cdf(1 - self.alpha / 2) + NormalDist().inv_cdf(self.power)


def users_per_arm(deviation: float, effect: float, design: Design) -> int:
    """Returns the users that each arm needs to show `effect`, in the metric's unit as `deviation` is; at least 2.

    Raises UsageError for an effect of 0: no number of users shows it.
    """
    if not abs(effect) > 0:
        raise UsageError("an effect of 0 is never shown", next_step="give the smallest effect worth acting on")
    return max(2, math.ceil(2 * (deviation * design.deviations / effect) ** 2))


def detectable(deviation: float, per_arm: int, design: Design) -> float:
    """Returns the smallest effect, in the unit of `deviation`, that `per_arm` users, at least 2, in each arm show."""
    if per_arm < 2:
        raise MissingDataError(f"{per_arm} users in each arm show nothing", next_step="give days with more users")
    return deviation * design.deviations * math.sqrt(2 / per_arm)


def linearised(top: Floats, bottom: Floats) -> Floats:
    """Returns one number a user, (users,), whose mean is Σ `top` / Σ `bottom` and whose variance is that of the ratio.

    Where every `bottom` is 1 it is `top` itself. Raises MissingDataError where all are 0: there is no ratio.
    """
    if not bottom.sum() > 0:
        raise MissingDataError("nobody was there: the metric has no value", next_step="give days with impressions")
    ratio = top.sum() / bottom.sum()
    values: Floats = ratio + (top - ratio * bottom) / bottom.mean()
    return values


def correlation(values: Floats, before: Floats) -> float:
    """Returns the correlation of `values` with those of the days `before`, (users,); 0 where either is constant."""
    spread = float(values.std() * before.std())
    return float(np.mean((values - values.mean()) * (before - before.mean()))) / spread if spread > 0 else 0.0


def adjusted(values: Floats, before: Floats) -> Floats:
    """Returns CUPED's `values` (users,): the same mean, less what the days `before` foretold.

    Both arms must be given together: one θ and one mean of `before`, which no treatment can have touched.
    """
    centred = before - before.mean()
    variance = float(np.mean(centred**2))
    slope = float(np.mean(centred * values)) / variance if variance > 0 else 0.0
    found: Floats = values - slope * centred
    return found


def false_positives(values: Floats, design: Design, seed: int, splits: int) -> float:
    """Returns the share of `splits` random halves of users whose means of `values` differ at the level of `design`.

    Nothing was done to anyone: it must be near alpha, or the test may not be trusted on this metric. An odd user is
    left out of each split.
    """
    generator, half = np.random.default_rng(seed), len(values) // 2
    if half < 2:
        raise MissingDataError(f"{len(values)} users cannot be halved", next_step="give days with more users")
    found = 0
    for _ in range(splits):
        dealt = generator.permutation(values)
        found += abs(z_score(dealt[:half], dealt[half : 2 * half])) > NormalDist().inv_cdf(1 - design.alpha / 2)
    return found / splits


def z_score(treated: Floats, control: Floats) -> float:
    """Returns the difference of two arms' means in standard errors; 0 where nobody differs from anybody."""
    error = math.sqrt(treated.var(ddof=1) / len(treated) + control.var(ddof=1) / len(control))
    return float(treated.mean() - control.mean()) / error if error > 0 else 0.0


def ratio_p_value(first: int, second: int, planned: float = 0.5) -> float:
    """Returns the chance of a split as far from plan as `first` and `second` users: χ² with one degree of freedom.

    `planned` is the share of users that the first arm was to have, in (0, 1). Raises UsageError for any other, for
    negative counts, and for no user.
    """
    if not 0 < planned < 1 or min(first, second) < 0 or first + second == 0:
        raise UsageError(
            f"{first:,} and {second:,} users cannot be checked against a planned share of {planned:g}",
            choices=["counts of 0 and more, not both 0", "a planned share between 0 and 1"],
        )
    expected = (first + second) * planned
    statistic = (first - expected) ** 2 / (expected * (1 - planned))
    return math.erfc(math.sqrt(statistic / 2))
