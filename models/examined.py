"""What a row's place in its session says of its outcome before a tree is grown: an offset, not a feature's effect.

An outcome that needs a look comes with probability examination(place) × p (the examination hypothesis: Richardson et
al., "Predicting Clicks", WWW 2007). Boosting begins at that, p being the rate of all rows, and so learns what is left:
what the video and the user do. The offset is no part of the model. It predicts what would come of a row of mean
examination, whatever its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import lightgbm

Floats = NDArray[np.float64]
Kind = Literal["binary", "regression"]

LEAST = 1e-6
"""Below it, and above 1 less it, no probability is begun at."""


def to_mean(examined: NDArray[np.float32], weight: NDArray[np.float32]) -> Floats | None:
    """Returns `examined` (rows,) beside its mean over rows, each counted `weight` times; NaN, unknown, counts as 1.

    None where all rows are alike.
    """
    known = ~np.isnan(examined)
    if not known.any() or np.ptp(examined[known]) == 0:
        return None
    mean = float(np.average(examined[known], weights=weight[known]))
    return np.where(known, examined.astype(np.float64) / mean, 1.0)


def starts(examined: Floats, mean: float, kind: Kind) -> Floats:
    """Returns the raw score (rows,) to begin boosting at: log odds where `kind` is binary.

    `examined` is beside its mean, of rows whose labels have the `mean`.
    """
    if kind == "regression":
        return examined * mean
    expected = np.clip(examined * mean, LEAST, 1 - LEAST)
    begin: Floats = np.log(expected) - np.log1p(-expected)
    return begin


def with_start(booster: lightgbm.Booster, mean: float, kind: Kind) -> None:
    """Adds what a row of mean examination begins at to every leaf of the first tree of `booster`."""
    # As LightGBM itself does with the mean of all labels, which it leaves out where rows begin elsewhere.
    [start] = starts(np.ones(1), mean, kind)
    [first] = booster.dump_model(num_iteration=1)["tree_info"]
    for leaf in range(first["num_leaves"]):
        booster.set_leaf_output(0, leaf, booster.get_leaf_output(0, leaf) + start)
