"""Only videos that may be shown: visible ones, and no advertisements, which other systems place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.rule import Rule, Slate

if TYPE_CHECKING:
    import numpy as np


def apply(order: np.ndarray, slate: Slate) -> np.ndarray:
    """Returns `order` without videos that may not be shown."""
    showable: np.ndarray = order[slate["is_showable"][order]]
    return showable


RULE = Rule(name="integrity", doc=__doc__, columns=("is_showable",), apply=apply)
