"""What a head's weight does to what users do, from weights that were drawn at random for each user (models/varied.py).

Of user and night i let n be the showings, y the sum of an outcome over them, and x of each varied head how far its
weight was drawn from the recipe's: 0 at it, 1 at the upper bound, -1 at the lower. Outcome per showing is taken for
linear in x and fitted by least squares, showings as weights:

    (a, b) = (Σ n z z')⁻¹ Σ z y        z = (1, x)

x is drawn independently of everything else, so b is the mean effect of taking the weight to its upper bound, whatever
else moves outcomes (Lin, Annals of Applied Statistics 2013, of regression on randomised treatments).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import MissingDataError
from models.bootstrap import all_sums, estimate
from models.estimate import Estimate

Floats = NDArray[np.float64]


def effects(
    user: NDArray[np.int64],
    drawn: Floats,
    showings: Floats,
    outcomes: Floats,
    heads: Sequence[str],
    names: Sequence[str],
    seed: int,
) -> dict[tuple[str, str], Estimate]:
    """Returns by (outcome, head) how much more of the outcome a showing gives at the head's upper bound.

    A row is a user's night: `drawn` (rows, heads) in [-1, 1], `showings` (rows,) above 0, `outcomes` (rows, names) sums
    over them. Key (outcome, "") holds the outcome per showing at the recipe's own weights. Intervals are 95 %, by
    bootstrap over users. Raises MissingDataError where there are not twice as many users as weights to learn from.
    """
    _, whose = np.unique(user, return_inverse=True)
    width = 1 + drawn.shape[1]
    users = int(whose.max(initial=-1)) + 1
    if users < 2 * width:
        raise MissingDataError(
            f"{users:,} users with drawn weights: too few to learn the effect of {width - 1}",
            next_step="give more days",
        )
    known = np.column_stack([np.ones(len(drawn)), drawn])
    squares = (known[:, :, None] * known[:, None, :]).reshape(len(known), -1) * showings[:, None]
    crosses = (known[:, :, None] * outcomes[:, None, :]).reshape(len(known), -1)
    rows = np.column_stack([squares, crosses])
    of_users = np.column_stack([np.bincount(whose, column, users) for column in rows.T]).astype(np.float64)
    sums = all_sums(of_users, seed)
    left = sums[:, : width**2].reshape(-1, width, width)
    found = np.linalg.solve(left, sums[:, width**2 :].reshape(-1, width, len(names))).astype(np.float64)
    return {
        (name, head): estimate(found[:, row, column])
        for column, name in enumerate(names)
        for row, head in enumerate(("", *heads))
    }
