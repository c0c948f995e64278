"""What the ranker predicts of an impression: one head for each thing a user may do that a feed should seek or avoid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

WATCH_CAP_MS = 60_000
"""Watch time counts up to a minute: beyond it, loops and videos left running would outweigh everything else."""


@dataclass(frozen=True)
class Head:
    """One prediction.

    `label` is SQL over the columns of table impressions, and over no feature. A binary head predicts the probability
    that its label is 1; a regression head predicts its label, never below 0. `sign` is what a recipe's weight may
    be: +1 for something to seek, -1 for something to avoid. `weight_limit` is the largest absolute weight allowed
    per `unit` of prediction.
    """

    name: str
    doc: str
    label: str
    kind: Literal["binary", "regression"]
    sign: Literal[1, -1]
    weight_limit: float
    unit: str


HEADS = (
    Head(
        name="long_view",
        doc="Watches to the end, or for 18 s where the video is longer.",
        label="is_long_view",
        kind="binary",
        sign=1,
        weight_limit=10.0,
        unit="probability",
    ),
    Head(
        name="like",
        doc="Likes it.",
        label="is_like",
        kind="binary",
        sign=1,
        weight_limit=10.0,
        unit="probability",
    ),
    Head(
        name="watch_seconds",
        doc="Time watched, loops included, counted up to 60 s.",
        label=f"least(watch_ms, {WATCH_CAP_MS}) / 1000.0",
        kind="regression",
        sign=1,
        weight_limit=0.2,
        unit="s",
    ),
    Head(
        name="not_interested",
        doc="Asks for less of this.",
        label="is_not_interested",
        kind="binary",
        sign=-1,
        weight_limit=50.0,
        unit="probability",
    ),
)


def head_names(heads: tuple[Head, ...] = HEADS) -> tuple[str, ...]:
    """Returns the names in the order of the label and prediction vectors."""
    return tuple(head.name for head in heads)


def label_sql(heads: tuple[Head, ...] = HEADS) -> str:
    """Returns the Spark SQL of the label vector, an array<float> over a row of table impressions, in order of heads."""
    return f"array({', '.join(f'cast({head.label} as float)' for head in heads)})"
