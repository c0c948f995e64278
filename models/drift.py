"""How far features of newer rows have moved from those of older ones.

A number's distance is Wasserstein's, the mean way that a value has to go, in standard deviations of all rows compared;
a category's is the share of rows that would have to change (total variation). Unknown values are counted apart.
Not the population stability index, which asks whether bins are left, not how far: what has a few values, new ones every
day, as a surface's rates do, leaves its bins while it moves by a hundredth (61 of KuaiRand's 120 features were beyond
the usual .25).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

WORTH_A_LOOK = 0.5
UNKNOWN_WORTH_A_LOOK = 0.1
"""From this distance, or this change of the share of unknown values, on a person should know."""


@dataclass(frozen=True)
class Drift:
    """A feature's distance, 0 or more; means of its known values (meaningless of categories); shares of unknown ones.

    Distance and means are None where a side knows no value.
    """

    feature: str
    distance: float | None
    mean_before: float | None
    mean_now: float | None
    unknown_before: float
    unknown_now: float

    @property
    def is_worth_a_look(self) -> bool:
        far = self.distance is not None and self.distance >= WORTH_A_LOOK
        return far or abs(self.unknown_now - self.unknown_before) >= UNKNOWN_WORTH_A_LOOK


def drifts(before: Floats, now: Floats, names: Sequence[str], categories: Iterable[str]) -> list[Drift]:
    """Returns how far each of `names` has moved, furthest first.

    `before` and `now` are (rows, features), at least one row each, NaN where unknown; `categories` are those of `names`
    whose values have no order.
    """
    unordered = set(categories)
    found = [_drift(name, before[:, place], now[:, place], name in unordered) for place, name in enumerate(names)]
    return sorted(found, key=lambda one: (-(one.distance or 0.0), one.feature))


def _drift(name: str, before: Floats, now: Floats, is_category: bool) -> Drift:
    known = [column[~np.isnan(column)].astype(np.float64) for column in (before, now)]
    means = [float(values.mean()) if len(values) else None for values in known]
    unknown = [1 - len(values) / len(column) for values, column in zip(known, (before, now), strict=True)]
    distance = None
    if len(known[0]) and len(known[1]):
        distance = total_variation(*known) if is_category else standardised(*known)
    return Drift(name, distance, means[0], means[1], unknown[0], unknown[1])


def total_variation(before: NDArray[np.float64], now: NDArray[np.float64]) -> float:
    """Returns the share, in [0, 1], of the values of `now` that would have to be others to be spread as in `before`."""
    values = np.concatenate([before, now])
    _, place = np.unique(values, return_inverse=True)
    shares = [np.bincount(rows, minlength=place.max() + 1) / len(rows) for rows in np.split(place, [len(before)])]
    # Rounded sums may pass the bound.
    return min(1.0, float(np.abs(shares[0] - shares[1]).sum() / 2))


def standardised(before: NDArray[np.float64], now: NDArray[np.float64]) -> float:
    """Returns Wasserstein's distance over the standard deviation of all values; 0 where all are the same."""
    from scipy.stats import wasserstein_distance

    spread = float(np.concatenate([before, now]).std())
    return float(wasserstein_distance(before, now)) / spread if spread else 0.0
