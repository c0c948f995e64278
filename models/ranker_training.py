"""Fits a ranker: small early-stopped boosters over one binned dataset, each calibrated on a later slice of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from models import calibration
from models.boosting import Boost, Plan, Rows, RowsInFile, grow
from models.calibration import Calibration
from models.examined import to_mean
from models.examples import PARTS, Examples, ExamplesInFile, Outcomes, at_scoring
from models.heads import Head
from models.lift import lift
from models.metrics import calibration_ratio, log_loss, reliability, rmse
from models.ranker import HeadModel, Ranker, trees

if TYPE_CHECKING:
    import lightgbm

Floats = NDArray[np.float64]
Number = TypeVar("Number", np.float32, np.float64)
Curve = tuple[Floats, Floats, Floats]

ROUNDS = 200
PATIENCE = 20
POSITIVES_PER_LEAF = 20
# Small boosters order a user's list best. 63 bins and histograms by column cost 60 % of 255 bins by row on 90 features,
# at the same loss to three digits; twice the step takes half the rounds.
PARAMETERS: dict[str, Any] = {
    "num_leaves": 31,
    "learning_rate": 0.1,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.8,
    "lambda_l2": 1.0,
    "cat_smooth": 50.0,
    "deterministic": True,
    "max_bin": 63,
    "force_col_wise": True,
    "verbosity": -1,
}


@dataclass(frozen=True)
class HeadReport:
    """How one head was fitted. All figures but `rounds` and `importance` are of the calibration slice.

    `loss` is log loss in nats for a binary head, RMSE in the head's unit for a regression; `ratio` predicted over
    observed, NaN where nothing was observed; before is the booster's own, after the calibrated prediction's. The loss
    after is cross-fitted where methods were compared; the ratio and curve after are of the rows calibrated on.
    `curves` are mean prediction, mean label and rows per bin. `lift` is that of tenths, highest predicted first.
    `importance` is each feature's total gain. `averaged` names the feature whose log odds it is averaged with, if any.
    """

    head: str
    rounds: int
    calibration: str
    loss_before: float
    loss_after: float
    ratio_before: float
    ratio_after: float
    curves: tuple[Curve, Curve]
    lift: Floats
    importance: dict[str, float]
    averaged: str = ""


@dataclass(frozen=True)
class FitReport:
    """How a ranker was fitted: rows per purpose, a report per head, and what a person should know, a sentence each."""

    train_rows: int
    stop_rows: int
    calibrate_rows: int
    heads: tuple[HeadReport, ...]
    notes: tuple[str, ...]


def fit(
    examples: Examples | ExamplesInFile,
    *,
    features: tuple[str, ...],
    categorical: tuple[str, ...],
    heads: tuple[Head, ...],
    neutral: Mapping[int, float],
    seed: int,
    threads: int,
    boost: Boost = grow,
    parameters: Mapping[str, Any] = PARAMETERS,
    rounds: int = ROUNDS,
) -> tuple[Ranker, FitReport]:
    """Returns a ranker fitted on the train part of `examples`, which have `features` in order and the heads' labels.

    The validate part's earlier half, by time, stops the boosters; the later half, with the `neutral` values that feeds
    are scored with in place of what only a request knows (by column), calibrates them. A head with nothing
    to learn from (one label, or none) predicts its smoothed base rate and leaves a note. `boost` grows the boosters of
    the others with LightGBM's `parameters` in at most so many `rounds`: here, or on a cluster. A feature that a head
    averages with is in no tree; it is averaged with where that makes the loss of the slice calibrated on smaller.
    Same arguments: same ranker, whatever `threads`.
    """
    slices = time_slices(examples)
    weight = examples.weight[slices.train]
    constants = {head.name: _constant(*slices.of(examples.label(head.label)), weight, head) for head in heads}
    learning = tuple(head for head in heads if constants[head.name] is None)
    withheld = {head.averaged for head in heads if head.averaged}
    may_split = {"feature_contri": [float(name not in withheld) for name in features]} if withheld else {}
    parameters = {**parameters, **may_split, "seed": seed, "num_threads": threads}
    most = int(parameters["num_leaves"])
    leaves = tuple(_leaves(examples.label(head.label)[slices.train], head, most) for head in learning)
    means = tuple(_mean(examples.label(head.label)[slices.train], weight) for head in learning)
    plan = Plan(features, categorical, learning, leaves, parameters, rounds, PATIENCE, means)
    train, stop = _rows(examples, slices, learning)
    boosters = boost(train, stop, plan) if learning else {}
    held_out = at_scoring(_taken(examples, slices.calibrate), neutral)
    models, reports, notes = [], [], []
    if train.examined is not None:
        notes.append("places differ in how much they are looked at (table examinations): boosting begins there")
    for head in heads:
        labels = examples.label(head.label)
        constant, booster = constants[head.name], boosters.get(head.name)
        if constant is not None:
            notes.append(f"head {head.name} has nothing to learn from and predicts {constant:.4g} for every row")
        raw = HeadModel(head.name, head.kind, trees(booster) if booster else "", constant or 0.0, calibration.NONE)
        observed = labels[slices.calibrate].astype(np.float64)
        there = ~np.isnan(observed)
        tried = [raw, replace(raw, averaged=head.averaged)] if booster and head.averaged in features else [raw]
        fitted = []
        for model in tried:
            predictions = Ranker(features, categorical, (model,)).raw(held_out)[:, 0]
            chosen, head_report = _calibrate(model, booster, observed[there], predictions[there], seed)
            fitted.append((replace(model, calibration=chosen), head_report))
        model, head_report = min(fitted, key=lambda each: np.nan_to_num(each[1].loss_after))
        models.append(model)
        reports.append(head_report)
    report = FitReport(slices.train.stop, len(slices.stop), len(slices.calibrate), tuple(reports), tuple(notes))
    return Ranker(features, categorical, tuple(models)), report


@dataclass(frozen=True)
class Slices:
    """Row numbers by purpose: to learn from, to stop by, to calibrate on."""

    train: slice
    stop: NDArray[np.intp]
    calibrate: NDArray[np.intp]

    def of(self, values: NDArray[Number]) -> tuple[NDArray[Number], NDArray[Number]]:
        """Returns what of `values`, one or a row of them per example, is to learn from and to stop by."""
        return values[self.train], values[self.stop]


def time_slices(examples: Outcomes) -> Slices:
    """Returns the rows of the train part, and the earlier and the later half, by time, of the validate part."""
    # A slice, not a mask: the matrix of the train part is then a view, not a copy.
    train = slice(0, int((examples.part == PARTS.index("train")).sum()))
    validate = np.flatnonzero(examples.part == PARTS.index("validate"))
    shown_at = examples.shown_at[validate]
    later = shown_at >= np.sort(shown_at)[len(shown_at) // 2]
    return Slices(train, validate[~later], validate[later])


def _rows(
    examples: Examples | ExamplesInFile, slices: Slices, heads: tuple[Head, ...]
) -> tuple[Rows | RowsInFile, Rows]:
    labels = np.column_stack([examples.label(head.label) for head in heads])
    (train_labels, stop_labels), (train_weight, stop_weight) = slices.of(labels), slices.of(examples.weight)
    looked = None if examples.examined is None else to_mean(examples.examined, examples.weight)
    train_looked, stop_looked = (None, None) if looked is None else slices.of(looked)
    stop = Rows(_taken(examples, slices.stop), stop_labels, stop_weight, stop_looked)
    outcomes = (train_labels, train_weight, train_looked)
    if isinstance(examples, ExamplesInFile):
        return RowsInFile(examples.features.part(0, slices.train.stop), *outcomes), stop
    return Rows(examples.features[slices.train], *outcomes), stop


def _mean(labels: NDArray[np.float32], weight: NDArray[np.float32]) -> float:
    there = ~np.isnan(labels)
    return float(np.average(labels[there].astype(np.float64), weights=weight[there]))


def _taken(examples: Examples | ExamplesInFile, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """Returns the features of `rows`, which ascend."""
    return examples.features.take(rows) if isinstance(examples, ExamplesInFile) else examples.features[rows]


def _constant(
    train: NDArray[np.float32], stop: NDArray[np.float32], weight: NDArray[np.float32], head: Head
) -> float | None:
    """Returns what to predict where there is nothing to learn from, else None; `weight` is that of the rows `train`."""
    there = ~np.isnan(train)
    seen = train[there]
    if seen.size and np.ptp(seen) > 0 and not np.isnan(stop).all():
        return None
    if not seen.size:
        return 0.0
    # Jeffreys' prior, half a row of either label: never having been seen is no proof of never happening.
    mean, rows = _mean(train, weight), float(weight[there].sum(dtype=np.float64))
    return (mean * rows + 0.5) / (rows + 1) if head.kind == "binary" else mean


def _leaves(train: NDArray[np.float32], head: Head, most: int) -> int:
    """Returns the leaves of a head's trees: fewer than `most` where positives are rare, which more learn by heart."""
    return most if head.kind == "regression" else int(np.clip(np.nansum(train) // POSITIVES_PER_LEAF, 2, most))


def _calibrate(
    model: HeadModel, booster: lightgbm.Booster | None, labels: Floats, raw: Floats, seed: int
) -> tuple[Calibration, HeadReport]:
    binary, learned = model.kind == "binary", booster is not None and labels.size > 0
    chosen, losses = calibration.NONE, dict[str, float]()
    if learned and binary:
        chosen, losses = calibration.choose(labels, raw, seed)
    elif learned:
        chosen = calibration.fit_scale(labels, raw)
    calibrated = calibration.apply(chosen, raw)
    loss = log_loss if binary else rmse
    report = HeadReport(
        head=model.head,
        rounds=booster.best_iteration if booster else 0,
        calibration=chosen.method,
        loss_before=loss(labels, raw) if labels.size else float("nan"),
        loss_after=losses.get(chosen.method, loss(labels, calibrated) if labels.size else float("nan")),
        ratio_before=calibration_ratio(labels, raw),
        ratio_after=calibration_ratio(labels, calibrated),
        curves=(reliability(labels, raw), reliability(labels, calibrated)),
        lift=lift(labels, calibrated),
        importance=_gains(booster) if booster else {},
        averaged=model.averaged,
    )
    return chosen, report


def _gains(booster: lightgbm.Booster) -> dict[str, float]:
    gains = booster.feature_importance("gain", iteration=booster.best_iteration)
    return dict(zip(booster.feature_name(), map(float, gains), strict=True))
