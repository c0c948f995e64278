"""Systems side by side on the test days: lists with paired intervals, predictions head by head."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from core.errors import ContractError
from models.bootstrap import all_sums, estimate, estimates
from models.estimate import Estimate
from models.examples import Examples
from models.gate import CHANGED, HEAD, VALUE
from models.heads import HEADS, head_names
from models.metrics import CUTOFF, list_sums, prediction_metrics, ratio, tie_order
from models.ranker import Ranker
from models.value import values

Predictions = dict[str, NDArray[np.float64]]
"""Calibrated predictions (rows, heads in the order of HEADS) by system, NaN for a head that the system lacks."""


def check_frozen(rows: Examples) -> None:
    """Raises ContractError unless each user's rows share one feature snapshot.

    A list that is refreshed inside holds the labels of its own earlier rows, and seems far better than it is.
    """
    _, first = np.unique(rows.user, return_index=True)
    _, user = np.unique(rows.user, return_inverse=True)
    moved = rows.snapshot != rows.snapshot[first][user]
    if moved.any():
        raise ContractError(
            f"the lists of {len(np.unique(rows.user[moved]))} users were refreshed inside the test days, "
            f"one is user {rows.user[moved][0]}",
            where="table training_examples, part test, column snapshot_ds",
            next_step="join one snapshot to all test rows of a user",
        )


def predict(ranker: Ranker, rows: Examples, names: tuple[str, ...]) -> NDArray[np.float64]:
    """Returns calibrated predictions (rows, heads in the order of HEADS), NaN for a head the ranker does not have.

    `names` are the features of `rows` in order; raises ContractError where the ranker needs one that is not there.
    """
    columns = ranker.columns_in(names)
    features = rows.features if columns == list(range(len(names))) else rows.features[:, columns]
    seen = ranker.predict(features)
    found = np.full((len(seen), len(HEADS)), np.nan)
    for place, name in enumerate(head_names()):
        if name in ranker.heads:
            found[:, place] = seen[:, ranker.heads.index(name)]
    return found


def list_figures(rows: Examples, predictions: Predictions, seed: int) -> dict[tuple[str, str, str], Estimate]:
    """Returns GAUC, nDCG@5 and primary of long views for every system, and the challenger's paired differences.

    random scores by chance, oracle by the label itself; placebo scores like the challenger while the labels are dealt
    out anew among all rows, so that its GAUC is 0.5 unless the measurement itself is at fault.
    """
    column = head_names().index(HEAD)
    observed = rows.label(HEADS[column].label)
    there = ~np.isnan(observed)
    labels = observed[there].astype(np.float64)
    user, video = rows.user[there], rows.video[there]
    generator = np.random.default_rng(seed)
    scores = {system: of_heads[there, column] for system, of_heads in predictions.items()}
    scores |= {"popularity": rows.popularity[there], "random": generator.random(len(labels)), "oracle": labels}
    systems = {system: list_sums(user, video, labels, score) for system, score in scores.items()}
    systems["placebo"] = list_sums(user, video, generator.permutation(labels), scores["challenger"])
    pairs = [("challenger", other) for other in ("popularity", "champion") if other in systems]
    found = estimates(systems, pairs, seed)
    return {(system, HEAD, metric): figure for (system, metric), figure in found.items()}


def head_figures(rows: Examples, predictions: Predictions) -> dict[tuple[str, str, str], Estimate]:
    """Returns how well each head of each ranker, and popularity as a prediction of long views, holds on the rows."""
    popularity = np.full((len(rows.user), len(HEADS)), np.nan)
    popularity[:, head_names().index(HEAD)] = rows.popularity
    found: dict[tuple[str, str, str], Estimate] = {}
    for system, of_heads in {**predictions, "popularity": popularity}.items():
        for column, head in enumerate(HEADS):
            observed = rows.label(head.label)
            there = ~np.isnan(observed) & ~np.isnan(of_heads[:, column])
            if not there.any():
                continue
            labels = observed[there].astype(np.float64)
            for metric, value in prediction_metrics(head.kind, labels, of_heads[there, column]).items():
                found[system, head.name, metric] = Estimate(value, None, None)
    return found


def change_figures(
    rows: Examples, predictions: Predictions, weights: Mapping[str, float], seed: int
) -> dict[tuple[str, str, str], Estimate]:
    """Returns what share of the first CUTOFF places of a list gets another video by the challenger than by champion.

    Lists are ordered as a feed is, by the value that `weights` give. Nothing where there is no champion, or no list is
    longer than CUTOFF; the mean is over the users whose is.
    """
    if "champion" not in predictions:
        return {}
    _, user = np.unique(rows.user, return_inverse=True)
    long = np.bincount(user) > CUTOFF
    if not long.any():
        return {}
    first = [
        _first(user, rows.video, values(np.nan_to_num(predictions[system]), weights))
        for system in ("challenger", "champion")
    ]
    changed = 1 - np.bincount(user, first[0] & first[1])[long] / CUTOFF
    drawn = all_sums(np.column_stack([changed, np.ones_like(changed)]), seed)
    return {("challenger_minus_champion", VALUE, CHANGED): estimate(ratio(drawn[:, 0], drawn[:, 1]))}


def _first(user: NDArray[np.intp], video: NDArray[np.int64], value: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Returns which rows (rows,) are among the CUTOFF best of their user, whose numbers run from 0."""
    order = np.lexsort((tie_order(video), -value, user))
    begins = np.searchsorted(user[order], user[order])
    found = np.empty(len(user), np.bool_)
    found[order] = np.arange(len(user)) - begins < CUTOFF
    return found
