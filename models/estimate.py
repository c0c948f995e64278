"""A measured figure and how sure of it one may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A figure, with the ends of its 95 % interval where one was drawn."""

    value: float
    low: float | None = None
    high: float | None = None

    def told(self, digits: int = 4, sign: str = "") -> str:
        """Returns value and interval with so many `digits`, signed if `sign` is "+"; the value alone without one."""
        value = f"{self.value:{sign}.{digits}f}"
        if self.low is None or self.high is None:
            return value
        return f"{value} [{self.low:{sign}.{digits}f}, {self.high:{sign}.{digits}f}]"


Figures = Mapping[tuple[str, str, str], Estimate]
"""Estimates by (system, head, metric), as table evaluations names them."""
