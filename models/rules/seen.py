"""Nobody is shown a video again that they were shown in the last 28 days."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.rule import Columns, Rule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def apply(columns: Columns) -> NDArray[np.bool_]:
    """Returns true for unseen videos."""
    return ~columns["is_seen"]


RULE = Rule(name="seen", doc=__doc__, kind="filter", columns=("is_seen",), apply=apply)
