"""`reelfeed off-policy --open-bandit`: both policies of the Open Bandit Dataset, each valued from the other's log.

The data (Saito et al., NeurIPS 2021, Datasets and Benchmarks) are logs of one shop's recommendations: a uniform policy
and Bernoulli Thompson sampling, each shown to a random part of the traffic, with position and propensity. So each
estimate can be held against the click rate that the policy itself had.

Thompson sampling as an evaluation policy is its mean over the days of its log: at each position, the share of its rows
that show an item. That share is unbiased and sums to 1. The mean of the propensities recorded with an item is not and
does not: they are recorded only where the item was shown, so moments at which it was likely count too often. Recorded
propensities serve where they are what is needed, as the weights of their own log. No row names a person, so intervals
are by bootstrap over rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import MissingDataError
from models.off_policy import LoggedRows, PolicyValue, policy_value, smoothed_rates
from reelfeed.off_policy import table

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

COLUMNS = ("item_id", "position", "click", "propensity_score")
STRENGTH = 1_000.0
"""Showings of the mean that an item's click rate is smoothed by: rates are some thousandths, within a factor of 2."""
FOLDS = 2
"""An item's rate is predicted from the rows of the other folds, so that no row's click predicts itself."""
DIGITS = 4


@dataclass(frozen=True)
class BanditLog:
    """One policy's log, each (rows,): item and position, both from 0, clicks (0 or 1), and the item's propensity."""

    item: Ints
    position: Ints
    click: Floats
    propensity: Floats


def told(folder: str, seed: int) -> str:
    """Returns clicks per slot of both policies, from their own and from the other's log, as text.

    `folder` holds random/ and bts/ of one campaign, each with all.csv or all.csv.gz. Raises MissingDataError where one
    is not there or has no propensities.
    """
    uniform, thompson = (read(Path(folder) / part) for part in ("random", "bts"))
    positions = 1 + max(log.position.max() for log in (uniform, thompson))
    items = 1 + max(log.item.max() for log in (uniform, thompson))
    values = {
        "Thompson sampling, from the uniform log": value(uniform, frequencies(thompson, positions, items), seed),
        "uniform, from Thompson sampling's log": value(thompson, np.full((positions, items), 1 / items), seed),
    }
    of_thompson, of_uniform = values.values()
    lines = [
        f"{name}: {int(log.click.sum())} clicks in {len(log.click):,} slots, {other.logged.told(DIGITS)}"
        for name, log, other in (("uniform", uniform, of_thompson), ("Thompson sampling", thompson, of_uniform))
    ]
    return "\n".join(["Clicks per slot in each policy's own log", *lines, "", *table(values, DIGITS)])


def read(folder: Path) -> BanditLog:
    """Returns the log of `folder`; raises MissingDataError where there is none, or it lacks a column of COLUMNS."""
    from pyarrow import csv

    path = next((folder / name for name in ("all.csv.gz", "all.csv") if (folder / name).exists()), None)
    if path is None:
        raise MissingDataError("no log all.csv or all.csv.gz", where=str(folder), next_step="give the folder above it")
    rows = csv.read_csv(path)
    absent = [name for name in COLUMNS if name not in rows.column_names]
    if absent:
        raise MissingDataError(f"the log has no {', '.join(absent)}", where=str(path), choices=rows.column_names[:8])
    item, position, click, propensity = (rows[name].to_numpy() for name in COLUMNS)
    return BanditLog(item, position - position.min(), click.astype(np.float64), propensity.astype(np.float64))


def frequencies(log: BanditLog, positions: int, items: int) -> Floats:
    """Returns how often the log's policy shows each item, (positions, items): each position's shares sum to 1."""
    counts = np.zeros((positions, items))
    np.add.at(counts, (log.position, log.item), 1.0)
    shares: Floats = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    return shares


def value(log: BanditLog, chances: Floats, seed: int) -> PolicyValue:
    """Returns the value from `log` of the policy that shows items by `chances`, (positions, items)."""
    rates = _rates(log, chances.shape[1])
    fold = np.arange(len(log.item)) % FOLDS
    return policy_value(
        LoggedRows(
            unit=np.arange(len(log.item)),
            reward=log.click,
            propensity=log.propensity,
            evaluation=chances[log.position, log.item],
            predicted=rates[fold, log.item],
            expected=np.einsum("ri,ri->r", chances[log.position], rates[fold]),
        ),
        seed,
    )


def _rates(log: BanditLog, items: int) -> Floats:
    """Returns each item's click rate, (folds, items), as the rows of the other folds tell."""
    fold, rates = np.arange(len(log.item)) % FOLDS, np.zeros((FOLDS, items))
    for one in range(FOLDS):
        learnt = log.item[fold != one]
        shown, clicked = np.bincount(learnt, minlength=items), np.bincount(learnt, log.click[fold != one], items)
        rates[one] = smoothed_rates(shown.astype(np.float64), clicked.astype(np.float64), STRENGTH)
    return rates
