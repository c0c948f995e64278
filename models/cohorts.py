"""Whether predictions hold for everyone: predicted over observed, by head and cohort, with an interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.duration_buckets import EDGES_SECONDS, UNKNOWN, duration_buckets
from models.examples import Examples
from models.gate import EVERYONE
from models.heads import HEADS

Mask = NDArray[np.bool_]

Z_95 = 1.959964


@dataclass(frozen=True)
class CohortCalibration:
    """How far the predictions of `head` hold for the rows of a cohort.

    `predicted` and `observed` are totals in the head's unit, `ratio` the one over the other; `low`, `high` its 95 %
    interval, users being the units that vary.
    """

    head: str
    cohort: str
    rows: int
    predicted: float
    observed: float
    ratio: float
    low: float
    high: float


def cohorts(rows: Examples, names: Sequence[str], tag: NDArray[np.int64]) -> dict[str, Mask]:
    """Returns by name the cohorts of `rows`, whose features are `names` and whose videos' first tags are `tag`.

    A cohort is told from features of the snapshot: new users and videos are those without a showing in its 28 days. A
    negative tag is none.
    """

    def feature(name: str) -> NDArray[np.float32]:
        column: NDArray[np.float32] = rows.features[:, names.index(name)]
        return column

    bucket = duration_buckets(feature("content__duration"))
    edges = ["0", *map(str, EDGES_SECONDS), ""]
    found = {
        EVERYONE: np.ones(len(rows.user), np.bool_),
        "new user": feature("user_activity__showings_28d") == 0,
        "new video": feature("video_reception__showings_28d") == 0,
        "duration unknown": bucket == UNKNOWN,
    }
    for number in range(len(EDGES_SECONDS) + 1):
        until = f"to {edges[number + 1]}" if edges[number + 1] else "and more"
        found[f"duration {edges[number]} {until} s"] = bucket == number
    return found | {f"tag {one}": tag == one for one in np.unique(tag) if one >= 0}


def calibrations(
    rows: Examples, predictions: NDArray[np.float64], groups: Mapping[str, Mask]
) -> tuple[CohortCalibration, ...]:
    """Returns every head's calibration for each of `groups` in which anything was observed.

    `predictions` are (rows, heads in the order of HEADS), NaN for a head that the ranker lacks.
    """
    _, user = np.unique(rows.user, return_inverse=True)
    found = []
    for column, head in enumerate(HEADS):
        observed = rows.label(head.label).astype(np.float64)
        there = ~np.isnan(observed) & ~np.isnan(predictions[:, column])
        for cohort, mask in groups.items():
            chosen = mask & there
            if observed[chosen].sum() > 0:
                ratio = _ratio(user[chosen], predictions[chosen, column], observed[chosen])
                found.append(CohortCalibration(head.name, cohort, int(chosen.sum()), *ratio))
    return tuple(found)


def _ratio(
    user: NDArray[np.intp], predicted: NDArray[np.float64], observed: NDArray[np.float64]
) -> tuple[float, float, float, float, float]:
    """Returns both totals, their ratio and its interval.

    The interval is the ratio's linearisation, summed by user (Cochran 1977, section 6.4), on a logarithmic scale.
    """
    total_predicted, total_observed = float(predicted.sum()), float(observed.sum())
    ratio = total_predicted / total_observed
    if ratio == 0:
        return total_predicted, total_observed, 0.0, 0.0, 0.0
    off = np.bincount(user, predicted - ratio * observed)
    width = np.exp(Z_95 * np.sqrt(np.sum(off**2)) / total_predicted)
    return total_predicted, total_observed, ratio, ratio / float(width), ratio * float(width)
