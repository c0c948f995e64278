"""Only videos that may be shown: visible ones, and no advertisements, which other systems place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.rule import Columns, Rule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def apply(columns: Columns) -> NDArray[np.bool_]:
    """Returns true for videos that may be shown."""
    return columns["is_showable"]


RULE = Rule(name="integrity", doc=__doc__, kind="filter", columns=("is_showable",), apply=apply)
