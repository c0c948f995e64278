"""At most `most` videos of one author in any `within` slots in a row, as long as there are others to show.

Each slot takes the best remaining video that keeps the cap; where none does, the best remaining one: a feed is
never cut short by this rule.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from models.rule import Rule, Slate

if TYPE_CHECKING:
    import numpy as np


def apply(order: np.ndarray, slate: Slate, most: int, within: int) -> np.ndarray:
    """Returns `order` rearranged so that the cap holds wherever the candidates allow it."""
    import numpy as np

    authors = slate["author_id"][order].tolist()
    waiting, placed = list(range(len(authors))), list[int]()
    lately = Counter[int]()
    while waiting:
        pick = next((place for place, row in enumerate(waiting) if lately[authors[row]] < most), 0)
        placed.append(waiting.pop(pick))
        lately[authors[placed[-1]]] += 1
        if len(placed) >= within:
            lately[authors[placed[-within]]] -= 1
    return order[np.asarray(placed, dtype=np.int64)]


RULE = Rule(name="author_cap", doc=__doc__, columns=("author_id",), apply=apply, parameters={"most": 2, "within": 10})
