"""What models that learn from earlier impressions say of rows, out of fold in time.

A row is scored by a model of what had arrived by the end of its snapshot's day, and of nothing later: the rows that a
ranker learns from by models that don't know how they ended, as the rows that it will score. One fit a snapshot's day.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from core.errors import ContractError
from core.lake import Lake
from core.settings import Settings
from core.tables.impressions import TABLE as IMPRESSIONS
from models.calibration import log_odds
from models.examples import Examples
from models.machine import IDS, SURFACE, USER, VIDEO, fields

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

RATE_STRENGTH = 10.0
"""Impressions of the prior of a rate: what the peer of these two rates chose on validation days."""


@dataclass(frozen=True)
class Impressions:
    """Impressions by user, time and video: `fields` (rows, FIELDS), `shown_at` in µs, `arrived` in days since 1970.

    What `is_long_view` says, 0 or 1, may be known of the past alone: `out_of_fold` keeps to that.
    """

    fields: Ints
    shown_at: Ints
    arrived: Ints
    is_long_view: Floats

    @property
    def keys(self) -> NDArray[np.void]:
        """User, time and video of each row as one value."""
        return _keys(self.fields[:, USER], self.shown_at, self.fields[:, VIDEO])


Scorer = Callable[[Ints], Floats]
"""Scores of fields (rows, FIELDS): float64 (rows,), NaN where nothing is known."""


def impressions(settings: Settings, ds: date) -> Impressions:
    """Returns all impressions that had arrived by `ds`."""
    import pyarrow as pa

    lake = Lake(settings.lake)
    columns = (*IDS, "duration_ms", "shown_at", "ds", "is_long_view")
    table = lake.read_arrow(IMPRESSIONS, [day for day in lake.days(IMPRESSIONS) if day <= ds], columns)
    found = fields(table)
    shown_at = table["shown_at"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    arrived = table["ds"].cast(pa.int32()).to_numpy().astype(np.int64)
    order = np.lexsort((found[:, VIDEO], shown_at, found[:, USER]))
    labels = table["is_long_view"].to_numpy(zero_copy_only=False).astype(np.float64)
    return Impressions(found[order], shown_at[order], arrived[order], labels[order])


def fields_of(rows: Examples, known: Impressions) -> Ints:
    """Returns the fields (rows, FIELDS) of `rows`; raises ContractError where one is not among the `known`."""
    asked = _keys(rows.user, rows.shown_at, rows.video)
    place = np.searchsorted(known.keys, asked).clip(max=len(known.arrived) - 1)
    unknown = np.count_nonzero(known.keys[place] != asked)
    if unknown:
        raise ContractError(
            f"{unknown:,} of {len(asked):,} training examples are no impressions",
            where="tables training_examples and impressions",
            next_step="run build_training_set again",
        )
    found: Ints = known.fields[place]
    return found


def _keys(user: Ints, shown_at: Ints, video: Ints) -> NDArray[np.void]:
    keys = np.empty(len(user), [("user", np.int64), ("shown_at", np.int64), ("video", np.int64)])
    keys["user"], keys["shown_at"], keys["video"] = user, shown_at, video
    return keys


def out_of_fold(snapshot: Ints, fields: Ints, learn: Callable[[int], Scorer | None]) -> Floats:
    """Returns the score (rows,) of each row by what `learn` made of all that was known at the end of its `snapshot`.

    NaN where there was nothing to learn from.
    """
    scores = np.full(len(snapshot), np.nan)
    for day in np.unique(snapshot):
        scorer, rows = learn(int(day)), snapshot == day
        if scorer is not None:
            scores[rows] = scorer(fields[rows])
    return scores


def machine(known: Impressions, seed: int, rank: int) -> Callable[[int], Scorer | None]:
    """Returns what fits a factorisation machine of `rank` on the impressions that had arrived by a day."""
    from models.factorisation import Plan, fit

    def learn(day: int) -> Scorer | None:
        there = known.arrived <= day
        return fit(known.fields[there], known.is_long_view[there], seed, Plan(rank)).log_odds if there.any() else None

    return learn


def rates(known: Impressions) -> Callable[[int], Scorer | None]:
    """Returns what knows logit(rate of the tab) + logit(rate of the video), of long views that had arrived by a day."""

    def learn(day: int) -> Scorer | None:
        there = known.arrived <= day
        if not there.any():
            return None
        learnt, labels = known.fields[there], known.is_long_view[there]

        def score(fields: Ints) -> Floats:
            of_each = [_rates(learnt[:, field], labels, fields[:, field]) for field in (SURFACE, VIDEO)]
            return log_odds(of_each[0]) + log_odds(of_each[1])

        return score

    return learn


def _rates(of: Ints, labels: Floats, asked: Ints) -> Floats:
    """Returns the rate of `labels` of the rows whose value is `asked`, shrunk to that of all."""
    values, place = np.unique(of, return_inverse=True)
    shown, watched = np.bincount(place), np.bincount(place, labels)
    found = np.searchsorted(values, asked).clip(max=len(values) - 1)
    known = values[found] == asked
    rate: Floats = (watched[found] * known + RATE_STRENGTH * labels.mean()) / (shown[found] * known + RATE_STRENGTH)
    return rate
