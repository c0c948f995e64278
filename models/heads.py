"""What the ranker predicts of an impression: one head for each thing a user may do that a feed should seek or avoid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.labels import Label, label_named


@dataclass(frozen=True)
class Head:
    """One prediction.

    `label` names the label of models/labels.py that it predicts: of a binary one the probability that it is 1, of a
    regression one its value, never below 0. `sign` is what a recipe's weight may be: +1 for something to seek, -1 for
    something to avoid. `weight_limit` is the largest absolute weight allowed per `unit` of prediction. `averaged`
    names a feature that holds log odds of a binary label: no tree of any head sees it, and where rows held out are
    predicted better so, this head's prediction is the mean of it and of the trees' log odds (decision 20).
    """

    name: str
    doc: str
    label: str
    sign: Literal[1, -1]
    weight_limit: float
    averaged: str = ""

    @property
    def predicts(self) -> Label:
        """The label; raises UsageError where there is none of that name."""
        return label_named(self.label, where=f"head {self.name} of models/heads.py")

    @property
    def kind(self) -> Literal["binary", "regression"]:
        return self.predicts.kind

    @property
    def unit(self) -> str:
        return self.predicts.unit


HEADS = (
    Head(
        name="long_view",
        doc="Watches to the end, or for 18 s where the video is longer.",
        label="long_view",
        sign=1,
        weight_limit=10.0,
        averaged="machine__long_view_log_odds",
    ),
    Head(
        name="like",
        doc="Likes it.",
        label="like",
        sign=1,
        weight_limit=10.0,
    ),
    Head(
        name="watch_seconds",
        doc="Time watched, loops included, counted up to 60 s.",
        label="watch_seconds",
        sign=1,
        weight_limit=0.2,
    ),
    Head(
        name="not_interested",
        doc="Asks for less of this.",
        label="not_interested",
        sign=-1,
        weight_limit=50.0,
    ),
    Head(
        name="click",
        doc="Opens it, or plays it beyond the app's threshold.",
        label="click",
        sign=1,
        weight_limit=10.0,
    ),
    Head(
        name="follow",
        doc="Follows the author from here.",
        label="follow",
        sign=1,
        weight_limit=50.0,
    ),
    Head(
        name="comment",
        doc="Writes a comment.",
        label="comment",
        sign=1,
        weight_limit=50.0,
    ),
    Head(
        name="share",
        doc="Shares it.",
        label="share",
        sign=1,
        weight_limit=50.0,
    ),
    Head(
        name="profile_visit",
        doc="Opens the author's profile.",
        label="profile_visit",
        sign=1,
        weight_limit=20.0,
    ),
    Head(
        name="watch_debiased",
        doc="Percentile of watch time among showings of videos of like length: interest, where seconds reward length.",
        label="watch_debiased",
        sign=1,
        weight_limit=10.0,
    ),
)


def head_names(heads: tuple[Head, ...] = HEADS) -> tuple[str, ...]:
    """Returns the names in the order of the prediction vector."""
    return tuple(head.name for head in heads)


def head_labels(heads: tuple[Head, ...] = HEADS) -> tuple[str, ...]:
    """Returns the names of the labels that `heads` predict, each once."""
    return tuple(dict.fromkeys(head.label for head in heads))
