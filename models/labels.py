"""What came of an impression, as numbers: all that a head may learn to predict. Each label says when it is complete."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from core.errors import unknown

WATCH_CAP_MS = 60_000
"""Watch time counts up to a minute: beyond it, loops and videos left running would outweigh everything else."""

WATCH_PERCENTILE = "watch_percentile"
"""The one column that a label may read beside those of table impressions: models/watch_quantile.py adds it."""

SHOWING_HOURS = 1
"""Maturity of what is done while the video is on screen, or from it: watching, which counts for a minute at most, a
tap, a comment, a glance at the author's profile. All of it happens within minutes; the rest of the hour is for an app
that sends in its events late. A label that waits for something later, such as coming back tomorrow, states its own."""


@dataclass(frozen=True)
class Label:
    """One outcome of an impression.

    `sql` is over the columns of table impressions and WATCH_PERCENTILE, and over no feature. A binary label is 0 or 1,
    a regression label at least 0; NaN where it does not apply. `unit` is that of a prediction of it. `maturity_hours`
    is how long after the showing the label counts as complete: training leaves younger rows out (the split's embargo).
    """

    name: str
    doc: str
    sql: str
    kind: Literal["binary", "regression"]
    unit: str
    maturity_hours: int


def _deed(name: str, doc: str) -> Label:
    """Returns the binary label of the column is_`name` of table impressions."""
    return Label(name, doc, f"is_{name}", "binary", "probability", SHOWING_HOURS)


LABELS = (
    _deed("long_view", "Watches to the end, or for 18 s where the video is longer."),
    Label(
        name="watch_seconds",
        doc="Time watched, loops included, counted up to 60 s.",
        sql=f"least(watch_ms, {WATCH_CAP_MS}) / 1000.0",
        kind="regression",
        unit="s",
        maturity_hours=SHOWING_HOURS,
    ),
    Label(
        name="watch_debiased",
        doc=(
            "Share of the train part's showings of videos in the same duration bucket that were watched for less time, "
            "equal times counting half; NaN for a bucket that the train part lacks."
        ),
        sql=f"coalesce({WATCH_PERCENTILE}, double('NaN'))",
        kind="regression",
        unit="share",
        maturity_hours=SHOWING_HOURS,
    ),
    _deed("click", "Opens it, or plays it beyond the app's threshold."),
    _deed("like", "Likes it."),
    _deed("follow", "Follows the author from here."),
    _deed("comment", "Writes a comment."),
    _deed("share", "Shares it."),
    _deed("profile_visit", "Opens the author's profile."),
    _deed("not_interested", "Asks for less of this."),
)


def label_names(labels: Iterable[Label] = LABELS) -> tuple[str, ...]:
    """Returns the names in the order of the label vector."""
    return tuple(label.name for label in labels)


def binary_labels() -> tuple[Label, ...]:
    """Returns the labels that are 0 or 1, in order."""
    return tuple(label for label in LABELS if label.kind == "binary")


def label_named(name: str, where: str = "models/labels.py") -> Label:
    """Returns the label `name`; raises UsageError where there is none, with `where` it was asked for."""
    for label in LABELS:
        if label.name == name:
            return label
    raise unknown("label", name, label_names(), where=where)


def label_sql(labels: Iterable[Label] = LABELS) -> str:
    """Returns the Spark SQL of the label vector, an array<float> in the order of `labels`."""
    return f"array({', '.join(f'cast({label.sql} as float)' for label in labels)})"
