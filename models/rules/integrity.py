"""Only videos that may be shown: visible ones, no advertisements, which other systems place, and of no author whom the
user has blocked or muted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.rule import Columns, Rule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def apply(columns: Columns) -> NDArray[np.bool_]:
    """Returns true for videos that may be shown to the user."""
    may: NDArray[np.bool_] = columns["is_showable"] & ~columns["is_blocked"]
    return may


RULE = Rule(name="integrity", doc=__doc__, kind="filter", columns=("is_showable", "is_blocked"), apply=apply)
