"""`make bench`, the metrics' part: 5 million scored impressions with intervals, beside scikit-learn's AUC user by user.

Each figure is taken in a process of its own, one after the other, run as `python -m reelfeed.bench_metrics WHAT …`,
which prints what it found as JSON: seconds, and processor seconds of all threads, which hold on a busy machine too.
Rows are drawn before the clocks start; their memory counts.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.bootstrap import REPLICATES
from reelfeed.bench import measure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models.metrics import Floats, ListSums

SEED = 20260101
VIDEOS, BASE_RATE = 50_000, 0.3


@dataclass(frozen=True)
class Size:
    """Impressions and users, of uneven activity; the peer is timed on `subset` of those users who have both labels."""

    rows: int = 5_000_000
    users: int = 500_000
    subset: int = 2_000


@dataclass(frozen=True)
class _Scored:
    """Impressions, each (rows,), by two systems: `scores` are true probabilities of the label, `noisy` are worse."""

    user: NDArray[np.int64]
    video: NDArray[np.int64]
    label: Floats
    scores: Floats
    noisy: Floats

    def sums(self, scores: Floats) -> ListSums:
        from models.metrics import list_sums

        return list_sums(self.user, self.video, self.label, scores)


def bench_metrics(runs: int, size: Size | None = None) -> str:
    """Measures everything `runs` times and returns the medians as Markdown."""
    size = size or Size()
    found: dict[str, list[float]] = {}
    for _ in range(runs):
        measure(found, __name__, "all", "all", size.rows, size.users)
        measure(found, __name__, "peer", "peer", size.rows, size.users, size.subset)
    return table({key: statistics.median(values) for key, values in found.items()}, size)


def drawn(size: Size) -> _Scored:
    """Returns `size.rows` impressions of at most `size.users` users, their activity drawn from an exponential."""
    import numpy as np

    draw = np.random.default_rng(SEED)
    activity = draw.exponential(size=size.users)
    user = draw.choice(size.users, size.rows, p=activity / activity.sum())
    odds = draw.normal(np.log(BASE_RATE / (1 - BASE_RATE)), 1.0, size.rows)
    scores = 1 / (1 + np.exp(-odds))
    label = (draw.random(size.rows) < scores).astype(np.float64)
    return _Scored(user, draw.integers(0, VIDEOS, size.rows), label, scores, scores + 0.2 * draw.random(size.rows))


def everything(size: Size) -> dict[str, float]:
    """Returns the time of one system's lists, of two with intervals and their paired difference, and of all metrics."""
    from models.bootstrap import estimates
    from models.metrics import prediction_metrics

    rows = drawn(size)
    began = _clocks()
    lists = {"scores": rows.sums(rows.scores)}
    found = _since(began, "lists")
    lists["noisy"] = rows.sums(rows.noisy)
    estimates(lists, [("scores", "noisy")], SEED)
    found |= _since(began, "intervals")
    for predictions in (rows.scores, rows.noisy):
        prediction_metrics("binary", rows.label, predictions)
    return found | _since(began, "metrics")


def peer(size: Size) -> dict[str, float]:
    """Returns the time of scikit-learn's AUC of `size.subset` users, one by one, and how many users have both labels.

    Each user's rows lie together before the clock starts.
    """
    import numpy as np
    from sklearn.metrics import roc_auc_score

    rows = drawn(size)
    order = np.argsort(rows.user, kind="stable")
    begins = np.flatnonzero(np.diff(rows.user[order], prepend=-1))
    positives = np.add.reduceat(rows.label[order], begins)
    counts = np.diff(np.append(begins, len(order)))
    both = np.flatnonzero((positives > 0) & (positives < counts))
    asked = np.random.default_rng(SEED).choice(both, size.subset, replace=False)
    lists = [order[begins[one] : begins[one] + counts[one]] for one in asked]
    labels, scores = [rows.label[one] for one in lists], [rows.scores[one] for one in lists]
    began = _clocks()
    won = sum(label.sum() * roc_auc_score(label, score) for label, score in zip(labels, scores, strict=True))
    return {**_since(began, "gauc"), "users": float(len(both)), "value": won / sum(map(np.sum, labels))}


def _clocks() -> tuple[float, float]:
    return time.monotonic(), time.process_time()


def _since(began: tuple[float, float], name: str) -> dict[str, float]:
    seconds, processor = (now - then for now, then in zip(_clocks(), began, strict=True))
    return {f"{name} s": seconds, f"{name} processor": processor}


def table(medians: dict[str, float], size: Size) -> str:
    """Returns the medians as Markdown: seconds, their ratio beside what is asked of it, memory."""
    users, gibibyte = medians["peer users"], 2**30
    of_peer = {clock: medians[f"peer gauc {clock}"] * users / size.subset for clock in ("s", "processor")}

    def row(told: str, key: str) -> str:
        return f"| {told} | {medians[f'all {key} s']:.1f} | {medians[f'all {key} processor']:.1f} |"

    lines = [
        f"| {size.rows:,} impressions of {size.users:,} users | s | processor s |",
        "|---|---|---|",
        row("GAUC and nDCG@5 of one system, no intervals", "lists"),
        row(f"the same of two and their paired difference, {REPLICATES:,} replicates", "intervals"),
        row("and AUC, log loss, calibration of both: all metrics", "metrics"),
        f"| GAUC alone of one system by `roc_auc_score`, user by user, no intervals | {of_peer['s']:.0f} "
        f"| {of_peer['processor']:.0f} |",
        "",
        f"The last line is scaled up from {size.subset:,} users to the {users:,.0f} who have both labels: "
        f"{medians['peer gauc s']:.1f} s were measured, {medians['peer gauc processor']:.1f} s of a processor.",
        "",
        "| | | asked |",
        "|---|---|---|",
        f"| all metrics, s | {medians['all metrics s']:.1f} | at most 60 |",
        f"| `roc_auc_score` ÷ GAUC and nDCG@5, of one system, by processor s, × "
        f"| {of_peer['processor'] / medians['all lists processor']:.0f} | at least 20 |",
        f"| peak memory, GiB | {medians['all peak'] / gibibyte:.1f} | at most 4 |",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    SIZE = Size(*map(int, sys.argv[2:]))
    CHILDREN: dict[str, Callable[[Size], dict[str, float]]] = {"all": everything, "peer": peer}
    print(json.dumps(CHILDREN[sys.argv[1]](SIZE)))
