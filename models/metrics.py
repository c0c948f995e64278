"""How well lists are ordered and predictions hold: the definitions that every report of this repository uses.

- **GAUC**: the AUC within each user's list, over users with both labels, weighted by their number of positives.
- **nDCG@5**: gain 2^label - 1, discount log2(1 + place), mean over all users; a user without positives counts 0.
- **primary**: (GAUC + nDCG@5) / 2.

Equal scores: AUC counts such a pair half. nDCG, which must place one first, orders them by a fixed hash of the video,
which knows nothing of labels, and after that by the order of the rows given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import ContractError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CUTOFF = 5
CALIBRATION_BINS = 20
LEAST_PROBABILITY = 1e-15
LIST_METRICS = ("gauc", "ndcg@5", "primary")


@dataclass(frozen=True)
class ListSums:
    """What the list metrics need of each user, each float64 (users,): weighted sums of these give every metric.

    `positives` is the number of positives of a user with both labels, else 0; `ordered` that number times the
    user's AUC; `ndcg` the user's nDCG@5, 0 without positives.
    """

    positives: Floats
    ordered: Floats
    ndcg: Floats

    @property
    def columns(self) -> Floats:
        """float64 (users, 4): positives, ordered, ndcg and 1, in the order that `from_sums` takes."""
        return np.column_stack([self.positives, self.ordered, self.ndcg, np.ones_like(self.ndcg)])


def list_sums(users: Integers, videos: Integers, labels: Floats, scores: Floats) -> ListSums:
    """Returns the per-user sums of rows (rows,): user, video, label (0 or 1) and score. Users ascend by id.

    Every user's rows are one list, scored at one moment. Rows are sorted once, for both metrics. Raises ContractError
    where a score is not a number: it has no place in any order.
    """
    unscored = np.count_nonzero(np.isnan(scores))
    if unscored:
        raise ContractError(
            f"{unscored:,} of {len(scores):,} scores are not numbers: their lists have no order",
            where="scores of rows to be ranked",
            next_step="score all rows, or leave out the system that cannot",
        )
    _, user = np.unique(users, return_inverse=True)
    count = int(user.max()) + 1 if len(user) else 0
    order = _best_first(user, videos, scores)
    user, label, score = user[order], labels[order], scores[order]
    place = _since(_changes(user))
    rows = np.bincount(user, minlength=count)
    positives: Floats = np.bincount(user, label, count).astype(np.float64, copy=False)
    negatives = rows - positives
    both = (positives > 0) & (negatives > 0)
    rank_sum = np.bincount(user, label * (rows[user] - _middles(place, user, score)), count)
    pairs_won = rank_sum - positives * (positives + 1) / 2
    ordered = np.divide(pairs_won, negatives, out=np.zeros(count), where=both)
    return ListSums(np.where(both, positives, 0.0), ordered, _ndcg(user, place, label, positives))


def from_sums(sums: Floats) -> dict[str, Floats]:
    """Returns GAUC, nDCG@5 and primary, each (n,), of summed ListSums columns, float64 (n, 4).

    NaN where no user has both labels, or there is no user.
    """
    gauc = ratio(sums[:, 1], sums[:, 0])
    ndcg = ratio(sums[:, 2], sums[:, 3])
    return {"gauc": gauc, "ndcg@5": ndcg, "primary": (gauc + ndcg) / 2}


def auc(labels: Floats, scores: Floats) -> float:
    """Returns the chance that a positive scores above a negative, equal scores half; NaN without both labels."""
    sums = list_sums(np.zeros(len(labels), np.int64), np.zeros(len(labels), np.int64), labels, scores)
    return float(from_sums(sums.columns.sum(axis=0, keepdims=True))["gauc"][0])


def log_loss(labels: Floats, probabilities: Floats) -> float:
    """Returns the mean negative log likelihood of `labels`, in nats; probabilities are kept 1e-15 from 0 and 1."""
    p = np.clip(probabilities, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return float(-np.mean(labels * np.log(p) + (1 - labels) * np.log1p(-p)))


def rmse(labels: Floats, predictions: Floats) -> float:
    """Returns the root mean squared error, in the label's unit."""
    return float(np.sqrt(np.mean((labels - predictions) ** 2)))


def calibration_ratio(labels: Floats, predictions: Floats) -> float:
    """Returns predicted over observed, 1 where they agree in total; NaN where nothing was observed."""
    return float(predictions.sum() / labels.sum()) if labels.sum() > 0 else float("nan")


def prediction_metrics(kind: str, labels: Floats, predictions: Floats) -> dict[str, float]:
    """Returns how well one head's predictions hold, by metric; metrics that are undefined here are left out.

    Binary heads: auc, log_loss, calibration_error; regression heads: rmse; both: calibration_ratio.
    """
    found = {"calibration_ratio": calibration_ratio(labels, predictions)}
    if kind == "binary":
        found["auc"] = auc(labels, predictions)
        found["log_loss"] = log_loss(labels, predictions)
        found["calibration_error"] = calibration_error(labels, predictions)
    else:
        found["rmse"] = rmse(labels, predictions)
    return {metric: value for metric, value in found.items() if not np.isnan(value)}


def calibration_error(labels: Floats, predictions: Floats, bins: int = CALIBRATION_BINS) -> float:
    """Returns the expected calibration error: mean over rows of |mean prediction - mean label| of the row's bin."""
    predicted, observed, rows = reliability(labels, predictions, bins)
    return float(np.sum(rows * np.abs(predicted - observed)) / np.sum(rows))


def reliability(labels: Floats, predictions: Floats, bins: int = CALIBRATION_BINS) -> tuple[Floats, Floats, Floats]:
    """Returns mean prediction, mean label and rows of at most `bins` bins of equal numbers of rows, by prediction.

    Rows with equal predictions share a bin, so that a constant prediction makes a single one. No rows make no bins.
    """
    if not len(predictions):
        return np.empty(0), np.empty(0), np.empty(0)
    order = np.argsort(predictions, kind="stable")
    sorted_predictions = predictions[order]
    edges = sorted_predictions[np.arange(bins) * len(order) // bins]
    bin_of = np.searchsorted(np.unique(edges), predictions, side="right") - 1
    rows = np.bincount(bin_of).astype(np.float64)
    there = rows > 0
    predicted = np.bincount(bin_of, predictions)[there] / rows[there]
    observed = np.bincount(bin_of, labels)[there] / rows[there]
    return predicted, observed, rows[there]


def tie_order(videos: Integers) -> NDArray[np.uint64]:
    """Returns a fixed hash of each video id, to order equal scores by (finalizer of splitmix64, Vigna 2015)."""
    mixed = videos.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _best_first(user: Integers, videos: Integers, scores: Floats) -> NDArray[np.intp]:
    """Returns the order of rows by user, then by falling score, then by tie_order, then as given."""
    # Two stable sorts of one key take half the time of a lexsort of two; hashes are needed of equal scores alone.
    by_score = np.argsort(-scores, kind="stable")
    order = by_score[np.argsort(user[by_score], kind="stable")]
    begins = _changes(user[order]) | _changes(scores[order])
    tied = np.flatnonzero(~(begins & np.append(begins[1:], True)))
    rows = order[tied]
    order[tied] = rows[np.lexsort((tie_order(videos[rows]), np.cumsum(begins)[tied]))]
    return order


def _middles(place: Integers, user: Integers, score: Floats) -> Floats:
    """Returns the mean place of the rows of the same `user` and `score`, of rows that lie together by both."""
    begins = _changes(user) | _changes(score)
    sizes = np.diff(np.append(np.flatnonzero(begins), len(begins)))
    middles: Floats = np.repeat(place[begins] + (sizes - 1) / 2, sizes)
    return middles


def _ndcg(user: Integers, place: Integers, label: Floats, positives: Floats) -> Floats:
    """Returns each user's nDCG of rows in order: `place`, from 0, and `label` of each, `positives` of each user."""
    first = place < CUTOFF
    seen = np.bincount(user[first], label[first] / np.log2(place[first] + 2), len(positives))
    # With labels of 0 or 1 a gain is its label, and the ideal list begins with the positives.
    best = np.append(0.0, np.cumsum(1 / np.log2(np.arange(CUTOFF) + 2)))[np.minimum(positives, CUTOFF).astype(int)]
    found: Floats = np.divide(seen, best, out=np.zeros(len(positives)), where=best > 0)
    return found


def _since(begins: NDArray[np.bool_]) -> Integers:
    """Returns how many rows each row is after the last one that `begins` something, the first of all among them."""
    starts = np.flatnonzero(begins)
    return np.arange(len(begins)) - np.repeat(starts, np.diff(np.append(starts, len(begins))))


def _changes(values: NDArray[np.int64] | Floats) -> NDArray[np.bool_]:
    changed = np.ones(len(values), dtype=np.bool_)
    changed[1:] = values[1:] != values[:-1]
    return changed


def ratio(top: Floats, bottom: Floats) -> Floats:
    """Returns `top` over `bottom`, both (n,); NaN where `bottom` is 0."""
    found: Floats = np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)
    return found
