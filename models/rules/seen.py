"""Nobody is shown a video again that they were shown in the last 28 days."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.rule import Rule, Slate

if TYPE_CHECKING:
    import numpy as np


def apply(order: np.ndarray, slate: Slate) -> np.ndarray:
    """Returns `order` without seen videos."""
    unseen: np.ndarray = order[~slate["is_seen"][order]]
    return unseen


RULE = Rule(name="seen", doc=__doc__, columns=("is_seen",), apply=apply)
