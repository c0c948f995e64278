"""Learns what would come of an impression that is looked at, from impressions of which only some are.

An outcome that needs a look comes with probability examination(place) × p, and p is what the booster is to learn:

    L = -y log(e p) - (1 - y) log(1 - e p),    p = 1 / (1 + exp(-f))

(the examination hypothesis: Richardson et al., "Predicting Clicks", WWW 2007). The curvature given to LightGBM is the
expected one, e p (1 - p)^2 / (1 - e p), which is never negative.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.boosting import Boost, Plan, Rows, RowsInFile
from models.examination import Examination

if TYPE_CHECKING:
    import lightgbm

Floats = NDArray[np.float64]

LEAST = 1e-9
OBJECTIVE = "objective=binary sigmoid:1"
"""What a model's text says where raw scores are log odds."""


def at_places(found: Examination, position: NDArray[np.floating | np.integer]) -> Floats:
    """Returns the examination (rows,), in (0, 1], of 1-based places by the estimates in `found`.

    Where an estimate lies above 1, by chance, the place counts as looked at.
    """
    values = np.array([one.value for one in found.estimates])
    place = np.maximum(np.searchsorted(found.first, position, side="right") - 1, 0)
    looked: Floats = np.clip(values[place], LEAST, 1.0)
    return looked


def growing(found: Examination, place: str) -> Boost:
    """Returns what grows boosters of binary heads whose rows are looked at as `found` says of their feature `place`.

    That feature tells how much a row was looked at, and the trees never split on it. The boosters predict the outcome
    of an impression that is looked at. Rows are read into memory whole.
    """

    def grow(rows: Rows | RowsInFile, stop: Rows, plan: Plan) -> dict[str, lightgbm.Booster]:
        train, column = rows.in_memory(), plan.features.index(place)
        looked = [at_places(found, each.features[:, column]) for each in (train, stop)]
        return {
            head.name: _grown(train, stop, plan, at, column, (looked[0], looked[1]))
            for at, head in enumerate(plan.heads)
        }

    return grow


def derivatives(raw: Floats, label: Floats, examined: Floats) -> tuple[Floats, Floats]:
    """Returns slope and expected curvature (rows,) of the loss in `raw`, f above, of binary `label` (rows,)."""
    looked = 1.0 / (1.0 + np.exp(-raw))
    seen = examined * looked
    rest = np.maximum(1.0 - seen, LEAST)
    return (seen - label) * (1.0 - looked) / rest, np.maximum(seen * (1.0 - looked) ** 2 / rest, LEAST)


def loss(raw: Floats, label: Floats, examined: Floats) -> Floats:
    """Returns L (rows,)."""
    seen = np.clip(examined / (1.0 + np.exp(-raw)), LEAST, 1.0 - LEAST)
    return -(label * np.log(seen) + (1.0 - label) * np.log1p(-seen))


def _grown(train: Rows, stop: Rows, plan: Plan, at: int, place: int, looked: tuple[Floats, Floats]) -> lightgbm.Booster:
    import lightgbm

    allowed = list(plan.parameters.get("feature_contri", [1.0] * len(plan.features)))
    allowed[place] = 0.0
    learnt_weight = np.where(np.isnan(train.labels[:, at]), np.float32(0), train.weight)
    parameters = {**plan.parameters, "num_leaves": plan.leaves[at], "feature_contri": allowed}
    data = lightgbm.Dataset(
        train.features,
        label=np.nan_to_num(train.labels[:, at]),
        weight=learnt_weight,
        feature_name=list(plan.features),
        categorical_feature=[plan.features.index(name) for name in plan.categorical],
        params=parameters,
    )
    label, weight = stop.labels[:, at].astype(np.float64), stop.weight.astype(np.float64)
    there = ~np.isnan(label)

    def slopes(raw: Floats, rows: lightgbm.Dataset) -> tuple[Floats, Floats]:
        slope, curvature = derivatives(raw, np.asarray(rows.get_label(), np.float64), looked[0])
        # Not the rows' own weight: LightGBM forgets weights that are all one.
        return slope * learnt_weight, curvature * learnt_weight

    def stopped_by(raw: Floats, rows: lightgbm.Dataset) -> tuple[str, float, bool]:
        told = np.average(loss(raw[there], label[there], looked[1][there]), weights=weight[there])
        return "examined_logloss", float(told), False

    booster = lightgbm.train(
        {**parameters, "objective": slopes, "metric": "None"},
        data,
        plan.rounds,
        valid_sets=[data.create_valid(stop.features, np.nan_to_num(label))],
        feval=stopped_by,
        callbacks=[lightgbm.early_stopping(plan.patience, verbose=False)],
    )
    header, found, rest = booster.model_to_string(num_iteration=booster.best_iteration).partition("feature_names=")
    told = lightgbm.Booster(model_str=f"{header}{OBJECTIVE}\n{found}{rest}")
    told.best_iteration = booster.best_iteration
    return told
