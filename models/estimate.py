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


Figures = Mapping[tuple[str, str, str], Estimate]
"""Estimates by (system, head, metric), as table evaluations names them."""
