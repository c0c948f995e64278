"""Ways to order lists by long views that differ from the ranker's own, and how each of them is fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from features.catalog import categorical_names, feature_names, features
from features.groups.machine import GROUP as MACHINE_GROUP
from models.examples import Examples
from reelfeed.refits import long_views
from reelfeed.source_scores import SOURCES

if TYPE_CHECKING:
    import lightgbm

Floats = NDArray[np.float64]

RANKER, MACHINE, RATES = "ranker", "factorisation machine", "tab + video rates"
"""The ranker's trees by themselves; what stands beside them."""
BAGS = 5


@dataclass(frozen=True)
class Way:
    """A way to order lists that differs from the ranker's own.

    `inputs` are scores put behind its features, `start` one whose log odds boosting starts from, `averaged` one whose
    log odds are averaged with the trees'. `without` are groups of features left out, `parameters` LightGBM's.
    `bags` boosters of different seeds are averaged. `all_days`: boosters grow anew, as many rounds, on the days that
    stopped them too. `in_lists`: they learn the order of each user's rows (LambdaRank, Burges 2010), not the label.
    """

    inputs: tuple[str, ...] = ()
    start: str = ""
    averaged: str = ""
    without: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    bags: int = 1
    all_days: bool = False
    in_lists: bool = False


MONOTONE = {"monotone_constraints": [int("long_view_rate" in name) for name in feature_names()]}
"""Rates of long views may only raise the prediction."""
BAGGED = {"bagging_fraction": 0.7, "bagging_freq": 1}
"""Each tree learns from 0.7 of the rows, so that boosters of different seeds differ by more than their columns."""

WAYS = {
    RANKER: Way(),
    "with the rates' log odds": Way(inputs=(RATES,)),
    "with the machine's log odds": Way(inputs=(MACHINE,)),
    **{f"with the scores of {source}": Way(inputs=(source,)) for source in SOURCES},
    "with all of these": Way(inputs=(RATES, MACHINE, *SOURCES)),
    "starts from the rates": Way(start=RATES),
    "starts from the machine": Way(start=MACHINE),
    "starts from the machine, 7 leaves, lambda_l2 100": Way(
        start=MACHINE, parameters={"num_leaves": 7, "lambda_l2": 100.0}
    ),
    "averaged with the rates": Way(averaged=RATES),
    "averaged with the machine": Way(averaged=MACHINE),
    "averaged with the machine, 7 leaves": Way(averaged=MACHINE, parameters={"num_leaves": 7}),
    f"averaged with the machine, {BAGS} boosters": Way(averaged=MACHINE, bags=BAGS, parameters=BAGGED),
    "7 leaves": Way(parameters={"num_leaves": 7}),
    "15 leaves, 1,000 rows a leaf": Way(parameters={"num_leaves": 15, "min_data_in_leaf": 1_000}),
    "lambda_l2 100": Way(parameters={"lambda_l2": 100.0}),
    "half the step": Way(parameters={"learning_rate": 0.05}),
    "rates of long views monotone": Way(parameters=MONOTONE),
    "without the session's facts": Way(without=("session",)),
    f"{BAGS} boosters averaged": Way(bags=BAGS, parameters=BAGGED),
    "learns each user's order": Way(in_lists=True),
    "grown anew on all days": Way(all_days=True),
}
"""What is tried to order better, the ranker as served first."""

CHEAPER = {
    "quantised gradients": Way(parameters={"use_quantized_grad": True}),
    "a third of the negatives": Way(
        parameters={"pos_bagging_fraction": 1.0, "neg_bagging_fraction": 1 / 3, "bagging_freq": 1}
    ),
}
"""What is tried to learn faster, each tree from fewer bits or fewer rows, at no loss."""


@dataclass(frozen=True)
class Told:
    """Rows to learn from, and to judge, and what models say of both: log odds or scores, by the model's name."""

    train: Examples
    judged: Examples
    scores: Mapping[str, tuple[Floats, Floats]]


def log_odds(rows: Told, way: Way, seed: int, threads: int) -> Floats:
    """Returns the log odds (rows,) of long views of the judged rows, learnt in this `way`."""
    odds: Floats = np.mean([_boosted(rows, way, seed * way.bags + bag, threads) for bag in range(way.bags)], axis=0)
    return (odds + rows.scores[way.averaged][1]) / 2 if way.averaged else odds


def _boosted(rows: Told, way: Way, seed: int, threads: int) -> Floats:
    import lightgbm

    from models.ranker_training import PARAMETERS, PATIENCE, ROUNDS, time_slices

    # What the ranker averages its trees with is here given by `rows.scores`, of rows to learn from too.
    kept = [place for place, each in enumerate(features()) if each.group not in (*way.without, MACHINE_GROUP.name)]
    names = [feature_names()[place] for place in kept]
    learnt, judged = (
        np.column_stack([part.features[:, kept], *(rows.scores[name][side] for name in way.inputs)])
        for side, part in enumerate((rows.train, rows.judged))
    )
    # Before anything had arrived a model says nothing, and boosting starts from nothing.
    start = [np.nan_to_num(side) for side in rows.scores[way.start]] if way.start else None
    learns = {"objective": "lambdarank", "metric": "ndcg", "eval_at": [5]} if way.in_lists else {"objective": "binary"}
    parameters = {**PARAMETERS, **way.parameters, **learns, "seed": seed, "num_threads": threads}
    labels, slices = long_views(rows.train), time_slices(rows.train)

    def data(among: slice | NDArray[np.intp], like: lightgbm.Dataset | None = None) -> lightgbm.Dataset:
        return lightgbm.Dataset(
            learnt[among],
            labels[among],
            weight=rows.train.weight[among],
            # Rows of a part are in order of user, so that each user's lie together.
            group=np.unique(rows.train.user[among], return_counts=True)[1] if way.in_lists else None,
            init_score=start[0][among] if start else None,
            reference=like,
            params=parameters,
            feature_name=[*names, *way.inputs],
            categorical_feature=[names.index(name) for name in categorical_names() if name in names],
        )

    bins, stopping = data(slices.train), lightgbm.early_stopping(PATIENCE, verbose=False)
    booster = lightgbm.train(parameters, bins, ROUNDS, valid_sets=[data(slices.stop, bins)], callbacks=[stopping])
    if way.all_days:
        booster = lightgbm.train(parameters, data(slice(None)), booster.best_iteration)
    odds = np.asarray(booster.predict(judged, raw_score=True), np.float64)
    return odds + start[1] if start else odds
