"""Grows the boosters of all heads over one binned dataset, each stopped early by rows that it did not learn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.examined import starts, with_start
from models.heads import Head
from models.stored import Stored, binned

if TYPE_CHECKING:
    import lightgbm

LOSS = {"binary": ("binary", "binary_logloss"), "regression": ("regression", "l2")}


@dataclass(frozen=True)
class Rows:
    """Impressions to learn from or to stop by.

    `features` float32 (rows, features), NaN where unknown; `labels` float32 (rows, heads), NaN where a head's does not
    apply; `weight` float32 (rows,), logged impressions that a row stands for; `examined` float64 (rows,), how much its
    place is looked at beside the mean, None where all are alike.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.float32]
    weight: NDArray[np.float32]
    examined: NDArray[np.float64] | None = None

    def in_memory(self) -> Rows:
        """Returns the rows themselves."""
        return self

    def every(self, first: int, step: int) -> Rows:
        """Returns every `step`-th row from the `first`."""
        return Rows(self.features[first::step], *_every(self, first, step))


@dataclass(frozen=True)
class RowsInFile:
    """The same with the features in a file, for rows that memory shouldn't hold whole."""

    features: Stored
    labels: NDArray[np.float32]
    weight: NDArray[np.float32]
    examined: NDArray[np.float64] | None = None

    def in_memory(self) -> Rows:
        """Returns the same rows, read whole."""
        return Rows(self.features.block(0, len(self.features)), self.labels, self.weight, self.examined)

    def every(self, first: int, step: int) -> Rows:
        """Returns every `step`-th row from the `first`, in memory."""
        places = np.arange(first, len(self.features), step)
        return Rows(self.features.take(places), *_every(self, first, step))


def _every(
    rows: Rows | RowsInFile, first: int, step: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64] | None]:
    examined = None if rows.examined is None else rows.examined[first::step]
    return rows.labels[first::step], rows.weight[first::step], examined


@dataclass(frozen=True)
class Plan:
    """What to grow: a booster for each of `heads`, in the order of the columns of labels, of at most so many `leaves`.

    `features` names the columns of features, `categorical` those that are codes. `parameters` are LightGBM's; at most
    `rounds` trees are grown, fewer where the loss on the rows to stop by has not fallen for `patience` rounds. `means`
    are of each head's labels, over all rows to learn from: what boosting begins at where places differ.
    """

    features: tuple[str, ...]
    categorical: tuple[str, ...]
    heads: tuple[Head, ...]
    leaves: tuple[int, ...]
    parameters: dict[str, Any]
    rounds: int
    patience: int
    means: tuple[float, ...] = ()


Boost = Callable[[Rows | RowsInFile, Rows, Plan], "dict[str, lightgbm.Booster]"]
"""Grows what a plan says from the first rows, stopped by the second: boosters by head, `best_iteration` set."""


def grow(train: Rows | RowsInFile, stop: Rows, plan: Plan) -> dict[str, lightgbm.Booster]:
    """Returns the boosters of `plan` by head, grown in this process: same rows and plan, same trees.

    Features in a file make the trees of the same in memory where bins are found from all rows (models/stored.py).
    """
    import lightgbm

    bins = _binned(train.features, plan)
    stop_bins = bins.create_valid(stop.features, np.zeros(len(stop.features)), params=plan.parameters).construct()
    boosters = {}
    for place, head in enumerate(plan.heads):
        for dataset, rows in ((bins, train), (stop_bins, stop)):
            labels = rows.labels[:, place]
            dataset.set_label(np.nan_to_num(labels))
            # set_field, since set_weight would skip weights that are all one and so keep the last head's.
            dataset.set_field("weight", np.where(np.isnan(labels), np.float32(0), rows.weight))
            if rows.examined is not None:
                dataset.set_init_score(starts(rows.examined, plan.means[place], head.kind))
        objective, metric = LOSS[head.kind]
        boosters[head.name] = lightgbm.train(
            {**plan.parameters, "objective": objective, "metric": metric, "num_leaves": plan.leaves[place]},
            bins,
            plan.rounds,
            valid_sets=[stop_bins],
            callbacks=[lightgbm.early_stopping(plan.patience, verbose=False)],
        )
        if train.examined is not None:
            with_start(boosters[head.name], plan.means[place], head.kind)
    return boosters


def _binned(features: NDArray[np.float32] | Stored, plan: Plan) -> lightgbm.Dataset:
    import lightgbm

    described: dict[str, Any] = {
        "feature_name": list(plan.features),
        "categorical_feature": [plan.features.index(name) for name in plan.categorical],
    }
    if isinstance(features, Stored):
        return binned(features, plan.parameters, **described)
    labels = np.zeros(len(features))
    return lightgbm.Dataset(
        features, label=labels, params=plan.parameters, free_raw_data=False, **described
    ).construct()
