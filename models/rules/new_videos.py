"""In every `within` slots, `least` for videos of the source `fresh`, in its order and not in that of value.

Their showings are dealt out evenly by the source (models/sources/fresh.py); value, of which little is known yet, would
give all of them to the same few. They take the middle of their `within` slots; where there are fewer, the others move
up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.rule import Rule, Slate

if TYPE_CHECKING:
    import numpy as np


def apply(order: np.ndarray, slate: Slate, least: int, within: int) -> np.ndarray:
    """Returns `order` with the fresh videos, those of `fresh_rank` above 0, in the slots that are theirs."""
    import numpy as np

    rank = slate["fresh_rank"][order]
    fresh = np.nonzero(rank > 0)[0]
    slots = np.arange(len(order))
    begin = within // 2
    own = slots[(slots % within >= begin) & (slots % within < begin + least)]
    chosen = fresh[np.lexsort((slate["video_id"][order][fresh], rank[fresh]))][: len(own)]
    result = np.empty_like(order)
    taken = own[: len(chosen)]
    result[taken] = order[chosen]
    result[np.setdiff1d(slots, taken)] = np.delete(order, chosen)
    return result


RULE = Rule(
    name="new_videos",
    doc=__doc__,
    columns=("fresh_rank",),
    apply=apply,
    parameters={"least": 1, "within": 25},
)
