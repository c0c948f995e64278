"""How much of a known truth an order keeps: of a user's pairs, the share that scores put the right way round.

Where truth is known, as in a simulated world, it says more than AUC, whose labels are draws from it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def pair_sums(user: NDArray[np.int64], truth: Floats, score: Floats) -> Floats:
    """Returns float64 (users, 2), users ascending by id: pairs ordered by `score` as by `truth`, and pairs.

    Arguments are (rows,). Pairs are of one user's rows with different truth; equal scores count half.
    """
    order = np.argsort(user, kind="stable")
    starts = np.flatnonzero(np.diff(user[order], prepend=-1))
    sums = np.zeros((len(starts), 2))
    for place, rows in enumerate(np.split(order, starts[1:])):
        by_truth = np.sign(truth[rows][:, None] - truth[rows])
        by_score = np.sign(score[rows][:, None] - score[rows])
        above = by_truth > 0
        sums[place] = ((by_score[above] + 1) / 2).sum(), above.sum()
    return sums
