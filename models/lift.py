"""Lift: how much more of a label the rows have that were predicted to have most of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PARTS = 10


def lift(labels: Floats, predictions: Floats, parts: int = PARTS) -> Floats:
    """Returns mean label over that of all rows, float64 (parts,), of equal parts of the rows, highest predicted first.

    1 is what chance gives. Rows of equal predictions count with the mean of their labels, so that their order does not
    matter. Empty where there are fewer rows than parts or no row has any of the label.
    """
    if len(labels) < parts or not labels.sum() > 0:
        return np.empty(0)
    _, tie = np.unique(predictions, return_inverse=True)
    shared = (np.bincount(tie, labels) / np.bincount(tie))[tie]
    ordered = shared[np.argsort(-predictions, kind="stable")]
    means = np.array([part.mean() for part in np.array_split(ordered, parts)])
    found: Floats = means / labels.mean()
    return found
