"""Intervals from resampled users: per-user sums are weighted anew, nothing is ranked twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.estimate import Estimate
from models.metrics import LIST_METRICS, ListSums, from_sums

REPLICATES = 1_000
CELLS_AT_ONCE = 4_000_000


def estimates(
    systems: Mapping[str, ListSums], pairs: Sequence[tuple[str, str]], seed: int, replicates: int = REPLICATES
) -> dict[tuple[str, str], Estimate]:
    """Returns the list metrics of `systems`, and of their differences, by (system, metric), with 95 % intervals.

    Every system's sums are of the same users in the same order. A pair (a, b) yields `a_minus_b`, drawn on the same
    resampled users. A metric that is undefined on all rows is left out; one that a single user tells has no interval,
    since nothing shows how users differ.
    """
    names = list(systems)
    columns = np.column_stack([systems[name].columns for name in names])
    width = columns.shape[1] // len(names)
    sums = all_sums(columns, seed, replicates)
    values = {name: from_sums(sums[:, i * width : (i + 1) * width]) for i, name in enumerate(names)}
    told_by = {name: _users_telling(of) for name, of in systems.items()}
    for a, b in pairs:
        values[f"{a}_minus_{b}"] = {metric: values[a][metric] - values[b][metric] for metric in LIST_METRICS}
        told_by[f"{a}_minus_{b}"] = {metric: min(told_by[a][metric], told_by[b][metric]) for metric in LIST_METRICS}
    return {
        (system, metric): estimate(found[metric]) if told_by[system][metric] > 1 else Estimate(float(found[metric][0]))
        for system, found in values.items()
        for metric in LIST_METRICS
        if not np.isnan(found[metric][0])
    }


def _users_telling(sums: ListSums) -> dict[str, int]:
    """Returns how many users each list metric rests on: those with both labels, and for nDCG all."""
    both = int(np.count_nonzero(sums.positives))
    return {"gauc": both, "ndcg@5": len(sums.ndcg), "primary": both}


def all_sums(columns: NDArray[np.float64], seed: int, replicates: int = REPLICATES) -> NDArray[np.float64]:
    """Returns float64 (1 + replicates, columns): the sums of `columns` (users, columns), then the resampled ones."""
    return np.concatenate([columns.sum(axis=0, keepdims=True), resampled_sums(columns, seed, replicates)])


def estimate(values: NDArray[np.float64]) -> Estimate:
    """Returns the first of `values` (1 + replicates,), one a row of `all_sums`, with the interval of the rest."""
    return Estimate(float(values[0]), *interval(values[1:]))


def resampled_sums(columns: NDArray[np.float64], seed: int, replicates: int = REPLICATES) -> NDArray[np.float64]:
    """Returns the column sums, float64 (replicates, columns), of `columns` (users, columns) under resampling of users.

    A replicate gives every user a weight drawn from Poisson(1), the limit of drawing users with replacement, and all
    columns share it: systems whose columns stand side by side are compared as pairs. Same `seed`, same weights.
    """
    generator = np.random.default_rng(seed)
    users = columns.shape[0]
    sums = np.zeros((replicates, columns.shape[1]))
    block = max(1, CELLS_AT_ONCE // replicates)
    for start in range(0, users, block):
        part = columns[start : start + block]
        weights = generator.poisson(1.0, size=(replicates, part.shape[0])).astype(np.float64)
        sums += weights @ part
    return sums


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Returns the 2.5 % and 97.5 % percentiles of `values` (replicates,): the 95 % percentile interval.

    Replicates without a value (NaN: nobody in them had both labels) are left out; NaN, NaN where none is left.
    """
    there = values[~np.isnan(values)]
    if there.size == 0:
        return float("nan"), float("nan")
    low, high = np.percentile(there, [2.5, 97.5])
    return float(low), float(high)
