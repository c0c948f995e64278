"""Determinantal point process: the candidates that are of most relevance and together span the most.

Chosen one by one, each adding most to Σ r + `unlikeness` / 200 × ln det S: r is a candidate's value on a scale from 0,
the user's least, to 1, their best, S how like the chosen are to each other (Chen, Zhang and Zhou, NeurIPS 2018). Unlike
mmr it sees more than the one nearest video above.
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
    from models.diversity_kernel import determinantal

    value, is_candidate, vector_at, vectors = (columns[name] for name in READS)
    return determinantal(lists.rows, lists.bounds, length, value, is_candidate, vector_at, vectors, unlikeness / 100)


RULE = Rule(name="dpp", doc=__doc__, kind="order", columns=READS, apply=apply, parameters={"unlikeness": 30})
"""How much unlikeness is worth, in percent of the span of the user's values."""
