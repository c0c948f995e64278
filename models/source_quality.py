"""Lists of candidates beside what was then watched, as rows of table source_quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.attribution import DEPTH, DEPTHS, GAIN_DEPTH, Ids, Pairs, Truth, gain, means, only, overlap, recall
from models.estimate import Estimate
from models.merge import Candidates, places_of


@dataclass(frozen=True)
class Pool:
    """The videos that could have been named, sorted, with their authors, and which of them were new."""

    video: Ids
    author: Ids
    is_new: NDArray[np.bool_]


def by_source(found: Candidates, names: Sequence[str]) -> dict[str, Pairs]:
    """Returns every source's own list."""
    lists = {}
    for place, name in enumerate(names):
        rank = found.ranks[:, place].astype(np.int64)
        lists[name] = Pairs(found.user[rank > 0], found.video[rank > 0], rank[rank > 0])
    return lists


def merged_list(found: Candidates, order: Ids) -> Pairs:
    """Returns the pairs `order`, user by user and best first, as one list."""
    user = found.user[order]
    return Pairs(user, found.video[order], places_of(user))


def quality(
    lists: Mapping[str, Pairs], merged: Mapping[str, Pairs], true: Truth, known: Ids, pool: Pool, seed: int
) -> list[dict[str, Any]]:
    """Returns system, cohort, metric, value, low, high, users of `lists`, by source, and of the `merged` ones.

    `known` are the users with history. Two merged lists, `blend` and `round_robin`, are compared in pairs, and the
    blend with the source of largest recall@100.
    """
    has_history = np.isin(true.users, known)
    best = max(lists, key=lambda name: float(recall(lists[name], true, DEPTH).mean()))
    pairs = [("blend", "round_robin", "blend_minus_round_robin"), ("blend", best, "blend_minus_best")]
    found: list[dict[str, Any]] = []
    for metric, columns in _per_user(lists, merged, true).items():
        if metric.startswith(("recall", "ndcg")):
            columns |= {name: columns[a] - columns[b] for a, b, name in pairs if a in columns and b in columns}
        for cohort, there in (("all", has_history | True), ("known", has_history), ("new", ~has_history)):
            if there.any():
                estimates = means({name: column[there] for name, column in columns.items()}, seed)
                found += [_row(name, cohort, metric, one, int(there.sum())) for name, one in estimates.items()]
    for name, listed in {**lists, **merged}.items():
        for metric, value in _coverage(listed, pool).items():
            found.append(_row(name, "all", metric, Estimate(value), len(true.users)))
    for name, listed in lists.items():
        for other in lists:
            if other != name:
                found.append(
                    _row(name, "all", f"overlap:{other}", Estimate(overlap(listed, lists[other])), len(true.users))
                )
    return found


def _per_user(
    lists: Mapping[str, Pairs], merged: Mapping[str, Pairs], true: Truth
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Returns by metric and system one number a user of the truth."""
    every = {**lists, **merged}
    found = {f"recall@{depth}": {name: recall(one, true, depth) for name, one in every.items()} for depth in DEPTHS}
    found[f"ndcg@{GAIN_DEPTH}"] = {name: gain(one, true) for name, one in every.items()}
    found[f"only@{DEPTH}"] = {name: only(lists, name, true) for name in lists}
    found["served"] = {name: np.isin(true.users, one.user).astype(np.float64) for name, one in every.items()}
    return found


def _coverage(listed: Pairs, pool: Pool) -> dict[str, float]:
    head = listed.head(DEPTH)
    if not len(head.video):
        return {"videos": 0.0, "authors": 0.0, "new_videos": 0.0}
    place = np.minimum(np.searchsorted(pool.video, head.video), len(pool.video) - 1)
    named = np.unique(place)
    return {
        "videos": len(named) / len(pool.video),
        "authors": len(np.unique(pool.author[named])) / len(np.unique(pool.author)),
        "new_videos": float(pool.is_new[place].mean()),
    }


def _row(system: str, cohort: str, metric: str, figure: Estimate, users: int) -> dict[str, Any]:
    return {
        "system": system,
        "cohort": cohort,
        "metric": metric,
        "value": figure.value,
        "low": figure.low,
        "high": figure.high,
        "users": users,
    }
