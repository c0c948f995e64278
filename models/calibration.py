"""Makes predictions mean what they say: a map from raw to calibrated, chosen on rows the booster has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.metrics import LEAST_PROBABILITY, log_loss

Floats = NDArray[np.float64]
Method = Literal["none", "platt", "isotonic", "scale"]

FOLDS = 5
NEWTON_STEPS = 50
SMALLEST_STEP = 1e-10
TILT = 0.25


@dataclass(frozen=True)
class Calibration:
    """A map from a raw prediction to a calibrated one.

    none: the prediction itself. platt: `y` holds (slope, intercept) of a logistic regression on the raw log odds.
    isotonic: straight lines between the points (`x`, `y`), both ascending, flat beyond the ends.
    scale: `y` holds the factor.
    """

    method: Method
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()


NONE = Calibration("none")


def apply(calibration: Calibration, raw: Floats) -> Floats:
    """Returns the calibrated predictions, float64 (rows,), of `raw` (rows,)."""
    if calibration.method == "platt":
        slope, intercept = calibration.y
        return sigmoid(slope * log_odds(raw) + intercept)
    if calibration.method == "isotonic":
        return np.interp(raw, calibration.x, calibration.y)
    if calibration.method == "scale":
        return raw * calibration.y[0]
    return raw


def choose(labels: Floats, raw: Floats, seed: int, folds: int = FOLDS) -> tuple[Calibration, dict[str, float]]:
    """Returns the best calibration of probabilities, and the cross-fitted log loss of every method tried.

    Each method is fitted on all folds but one and judged on that one; the least mean loss wins, ties going to the
    simpler method (none, then platt, then isotonic), which is then fitted on all rows. `labels` are 0 or 1,
    `raw` in [0, 1]. With fewer than `folds` rows of either label nothing is tried and the answer is none.
    """
    losses = {"none": log_loss(labels, raw)}
    if min(labels.sum(), (1 - labels).sum()) < folds:
        return NONE, losses
    fold = np.random.default_rng(seed).permutation(len(labels)) % folds
    for method, fit in (("platt", fit_platt), ("isotonic", fit_isotonic)):
        held_out = np.empty(len(labels))
        for part in range(folds):
            seen = fold != part
            held_out[~seen] = apply(fit(labels[seen], raw[seen]), raw[~seen])
        losses[method] = log_loss(labels, held_out)
    best = min(losses, key=lambda method: losses[method])
    fits = {"platt": fit_platt, "isotonic": fit_isotonic}
    return (fits[best](labels, raw) if best in fits else NONE), losses


def fit_platt(labels: Floats, raw: Floats) -> Calibration:
    """Returns the logistic regression of `labels` on the raw log odds (Platt 1999), by Newton's method.

    Where the raw predictions say nothing (one value, one label, or an order that is upside down) the answer is none:
    a calibration never turns an order round.
    """
    odds = log_odds(raw)
    if np.ptp(odds) == 0 or np.ptp(labels) == 0:
        return NONE
    slope, intercept = 1.0, 0.0
    for _ in range(NEWTON_STEPS):
        p = sigmoid(slope * odds + intercept)
        error, weight = labels - p, p * (1 - p)
        gradient = np.array([error @ odds, error.sum()])
        hessian = np.array([[weight @ odds**2, weight @ odds], [weight @ odds, weight.sum()]])
        try:
            step = np.linalg.solve(hessian, gradient)
        except np.linalg.LinAlgError:
            return NONE
        slope, intercept = slope + step[0], intercept + step[1]
        if np.abs(step).max() < SMALLEST_STEP:
            break
    sound = np.isfinite([slope, intercept]).all() and slope > 0
    return Calibration("platt", y=(float(slope), float(intercept))) if sound else NONE


def fit_isotonic(labels: Floats, raw: Floats) -> Calibration:
    """Returns the least-squares non-decreasing steps of `labels` over `raw` (pool adjacent violators), joined by lines.

    Values stay half a row away from 0 and 1, since no number of rows proves that something never happens. Every step
    but a single one is tilted by TILT of the way to the nearer step, 0 or 1, around its mean: it predicts as much in
    all, and rows that it pools, a feed's best among them, keep their order.
    """
    from scipy.optimize import isotonic_regression

    points, group = np.unique(raw, return_inverse=True)
    rows = np.bincount(group)
    steps = isotonic_regression(np.bincount(group, labels) / rows, weights=rows).x
    margin = 0.5 / (len(labels) + 1)
    steps = np.clip(steps, margin, 1 - margin)
    first = np.flatnonzero(np.diff(steps, prepend=-1.0))
    last = np.append(first[1:], len(points)) - 1
    level, step = steps[first], np.repeat(np.arange(len(first)), last - first + 1)
    middle = np.bincount(step, rows * points) / np.bincount(step, rows)
    reach = np.maximum(points[last] - middle, middle - points[first])
    room = np.diff(level, prepend=0.0, append=1.0)
    rise = TILT * np.minimum(room[:-1], room[1:]) * (len(level) > 1)
    slope = np.divide(rise, reach, out=np.zeros_like(rise), where=last > first)
    corners = np.unique(np.concatenate([first, last]))
    values = level[step[corners]] + slope[step[corners]] * (points[corners] - middle[step[corners]])
    return Calibration("isotonic", tuple(map(float, points[corners])), tuple(map(float, values)))


def fit_scale(labels: Floats, raw: Floats) -> Calibration:
    """Returns the factor that makes the raw predictions' total that of `labels`; none where either is 0."""
    predicted, observed = float(raw.sum()), float(labels.sum())
    return Calibration("scale", y=(observed / predicted,)) if predicted > 0 and observed > 0 else NONE


def log_odds(raw: Floats) -> Floats:
    """Returns the log odds of probabilities, kept LEAST_PROBABILITY away from 0 and 1."""
    p = np.clip(raw, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return np.log(p) - np.log1p(-p)


def sigmoid(odds: Floats) -> Floats:
    """Returns the probabilities of log odds."""
    return 1.0 / (1.0 + np.exp(-np.clip(odds, -500.0, 500.0)))
