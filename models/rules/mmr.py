"""Maximal marginal relevance: each slot takes the candidate of most relevance that is unlike those above it.

`unlikeness` percent of the largest cosine to a video above it are taken off a candidate's relevance, its value on a
scale from 0, the user's least, to 1, their best (Carbonell and Goldstein, SIGIR 1998, divided by λ).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.rule import Columns, Lists, Rule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

READS = ("value", "is_candidate", "vector_at", "vectors")


def apply(lists: Lists, columns: Columns, length: int, unlikeness: int) -> NDArray[np.int64]:
    """Returns the rows of `lists`, each user's first `length` candidates chosen one by one, the rest behind."""
    from models.diversity_kernel import marginal_relevance

    value, is_candidate, vector_at, vectors = (columns[name] for name in READS)
    return marginal_relevance(
        lists.rows, lists.bounds, length, value, is_candidate, vector_at, vectors, unlikeness / 100
    )


RULE = Rule(name="mmr", doc=__doc__, kind="order", columns=READS, apply=apply, parameters={"unlikeness": 30})
"""How much unlikeness is worth, in percent of the span of the user's values."""
