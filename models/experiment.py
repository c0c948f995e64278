"""An experiment: what one training does otherwise than tonight's, refused before any work where it makes no sense."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any

from core.config import parse
from core.errors import UsageError
from features.catalog import features
from models.heads import HEADS, Head, head_names

NAME = re.compile(r"[\w .,+-]{0,60}")
WHERE = "--experiment, or the form of DAG experiment"


def _between(minimum: float, maximum: float, doc: str, *, whole: bool = False) -> Any:
    """Returns a field for a number within the bounds, inclusive, which is the training's own where it is not given."""
    return field(default=None, metadata={"minimum": minimum, "maximum": maximum, "doc": doc, "whole": whole})


@dataclass(frozen=True)
class Experiment:
    """What differs from tonight's training; what is not given does not.

    `name` is what people call it. Of the heads only `heads` are trained, on features of the groups `take`, all where
    empty, but those of `leave_out`. The numbers are LightGBM's parameters; `rounds` is the most trees of a head.
    """

    name: str = ""
    heads: tuple[str, ...] = ()
    take: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    num_leaves: int | None = _between(2, 255, "Most leaves of a tree.", whole=True)
    learning_rate: float | None = _between(0.001, 1, "Share of a tree's values that is added.")
    rounds: int | None = _between(1, 2000, "Most trees of a head; fewer where the loss stops falling.", whole=True)
    min_data_in_leaf: int | None = _between(1, 100_000, "Fewest rows of a leaf.", whole=True)
    feature_fraction: float | None = _between(0.05, 1, "Share of the features that a tree may split on.")
    lambda_l2: float | None = _between(0, 1000, "Penalty on the square of a leaf's value.")

    @property
    def changes(self) -> dict[str, object]:
        """What it changes, as it could be given again: everything but the name that is not as tonight."""
        return {key: value for key, value in vars(self).items() if key != "name" and value not in (None, ())}

    @property
    def hash(self) -> str:
        """Twelve hex digits of the changes, whatever their name."""
        return hashlib.sha256(json.dumps(self.changes, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def trained_heads(self) -> tuple[Head, ...]:
        """The heads to train, in the order of HEADS."""
        return tuple(head for head in HEADS if not self.heads or head.name in self.heads)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features to train on, in the order of the vector."""
        return tuple(
            feature.name
            for feature in features()
            if (not self.take or feature.group in self.take) and feature.group not in self.leave_out
        )

    @property
    def lightgbm(self) -> dict[str, float]:
        """The parameters of LightGBM that it changes."""
        names = {number.name for number in numbers()} - {"rounds"}
        return {name: value for name, value in vars(self).items() if name in names and value is not None}


def numbers() -> tuple[Field[Any], ...]:
    """Returns the fields of Experiment that are numbers; `metadata` has minimum, maximum, doc and whole."""
    return tuple(one for one in fields(Experiment) if "minimum" in one.metadata)


def group_names() -> tuple[str, ...]:
    """Returns the groups whose features a ranker may learn from, in the order of the vector."""
    return tuple(dict.fromkeys(feature.group for feature in features()))


def read_experiment(text: str) -> Experiment:
    """Returns the experiment that `text` describes, a JSON object of Experiment's fields; null is as not given.

    Empty text is the experiment that changes nothing. Raises UsageError naming every fault and the choices.
    """
    next_step = """for example --experiment '{"name": "wide trees", "num_leaves": 63, "leave_out": ["session"]}'"""
    try:
        content = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise UsageError(f"not JSON: {error}", where=WHERE, next_step=next_step) from None
    if not isinstance(content, dict):
        raise UsageError(f"not a JSON object: {text}", where=WHERE, next_step=next_step)
    try:
        read = parse(Experiment, {key: value for key, value in content.items() if value is not None}, where=WHERE)
    except UsageError as error:
        raise UsageError(error.what, where=WHERE, next_step=next_step) from None
    if faults := [*_strangers(read), *_out_of_bounds(read)]:
        raise UsageError("; ".join(faults), where=WHERE, next_step=next_step)
    return read


def _strangers(given: Experiment) -> list[str]:
    faults = []
    known: Mapping[str, tuple[str, ...]] = {"heads": head_names(), "take": group_names(), "leave_out": group_names()}
    for name, choices in known.items():
        absent = [one for one in getattr(given, name) if one not in choices]
        faults += [f"{name} names {', '.join(map(repr, absent))}, there are {', '.join(choices)}"] if absent else []
    if not faults and not given.feature_names:
        faults.append("take and leave_out leave no feature to learn from")
    return faults


def _out_of_bounds(given: Experiment) -> list[str]:
    faults = []
    if not NAME.fullmatch(given.name):
        faults.append(f"name {given.name!r} must be at most 60 letters, digits, spaces or . , _ + -")
    for number in numbers():
        value, low, high = getattr(given, number.name), number.metadata["minimum"], number.metadata["maximum"]
        if value is not None and not low <= value <= high:
            faults.append(f"{number.name} must be from {low:g} to {high:g}, not {value:g}")
    return faults
