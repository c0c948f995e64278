"""`make bench`, the training's part: all heads on one streamed, binned dataset, beside a call of LightGBM for each.

Each way is a process of its own, one after the other, run as `python -m reelfeed.bench_training WAY FOLDER SIZE`, which
prints what it found as JSON. All begin with the same file of features, so that reading it is part of every figure.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reelfeed.bench import measure
from reelfeed.bench_scoring import FEATURES, SEED, drawn

if TYPE_CHECKING:
    import lightgbm

    from models.boosting import Plan, Rows

BLOCK = 100_000
LABEL = "like"
"""A binary label, for the kind of the heads."""
COMMON, RARE = 0.3, 0.003
"""Shares of positives of the first head and of the last; those between fall evenly, in log."""
PEER = "separate"
WAYS = {
    PEER: "`lightgbm.train` for each head, each with its own dataset",
    "in_memory": "models/boosting.py, the matrix in memory",
    "streamed": "models/boosting.py, the matrix in a file",
    "quantised": "the same with quantised gradients",
}


@dataclass(frozen=True)
class Size:
    """Rows to learn from and to stop by, heads, rounds, all of which are grown, and LightGBM's threads."""

    rows: int = 2_000_000
    stop: int = 100_000
    heads: int = 7
    rounds: int = 200
    threads: int = 2


def bench_training(runs: int, size: Size | None = None) -> str:
    """Measures every way `runs` times, and returns the medians as Markdown."""
    size = size or Size()
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), size)
        for _ in range(runs):
            for way in WAYS:
                measure(found, __name__, way, way, name, json.dumps(asdict(size)))
    return table({key: statistics.median(values) for key, values in found.items()}, size, runs)


def write(folder: Path, size: Size) -> None:
    """Writes features and labels of the rows to learn from and to stop by, a block at a time."""
    import numpy as np

    draw = np.random.default_rng(SEED)
    signals = 0.3 * draw.standard_normal((FEATURES, size.heads)).astype(np.float32)
    shares = np.geomspace(COMMON, RARE, size.heads)
    for part, rows in (("train", size.rows), ("stop", size.stop)):
        with (folder / f"{part}.features").open("wb") as features, (folder / f"{part}.labels").open("wb") as labels:
            for start in range(0, rows, BLOCK):
                matrix = drawn(draw, min(BLOCK, rows - start))
                odds = np.nan_to_num(matrix) @ signals + np.log(shares / (1 - shares))
                matrix.tofile(features)
                (draw.random(odds.shape) < 1 / (1 + np.exp(-odds))).astype(np.float32).tofile(labels)


def grown(way: str, folder: Path, size: Size) -> dict[str, float]:
    """Returns what growing all heads took, in seconds by the clock and of the processor, and their mean stop loss."""
    import numpy as np

    from models import ranker  # noqa: F401  # LightGBM's threads wait without spinning, as in training
    from models.boosting import RowsInFile, grow
    from models.stored import Stored

    def part(name: str, rows: int) -> RowsInFile:
        labels = np.fromfile(folder / f"{name}.labels", np.float32).reshape(rows, size.heads)
        return RowsInFile(Stored(folder / f"{name}.features", rows, FEATURES), labels, np.ones(rows, np.float32))

    began, busy = time.monotonic(), time.process_time()
    stored, stop = part("train", size.rows), part("stop", size.stop).in_memory()
    plan = _plan(size, quantised=way == "quantised")
    if way == PEER:
        rows = stored.in_memory()
        boosters = [_alone(rows, stop, plan, place) for place in range(size.heads)]
    else:
        train = stored.in_memory() if way == "in_memory" else stored
        boosters = list(grow(train, stop, plan).values())
    losses = [booster.best_score["valid_0"]["binary_logloss"] for booster in boosters]
    return {
        "s": time.monotonic() - began,
        "busy": time.process_time() - busy,
        "loss": statistics.mean(losses),
    }


def _plan(size: Size, quantised: bool) -> Plan:
    """Returns the plan of training with binary heads that all are grown to the last round."""
    from models.boosting import Plan
    from models.heads import Head
    from models.ranker_training import PARAMETERS

    names = tuple(f"feature_{place}" for place in range(FEATURES))
    heads = tuple(Head(f"head_{place}", "", LABEL, 1, 1.0) for place in range(size.heads))
    leaves = (int(PARAMETERS["num_leaves"]),) * size.heads
    parameters = {**PARAMETERS, "seed": SEED, "num_threads": size.threads, "use_quantized_grad": quantised}
    return Plan(names, (names[-1],), heads, leaves, parameters, size.rounds, size.rounds)


def _alone(train: Rows, stop: Rows, plan: Plan, place: int) -> lightgbm.Booster:
    """Returns one head's booster by LightGBM's own call, with a dataset of its own."""
    import lightgbm

    def data(rows: Rows, reference: lightgbm.Dataset | None = None) -> lightgbm.Dataset:
        return lightgbm.Dataset(
            rows.features,
            rows.labels[:, place].copy(),
            reference=reference,
            feature_name=list(plan.features),
            categorical_feature=[len(plan.features) - 1],
            params=plan.parameters,
        )

    bins = data(train)
    parameters = {**plan.parameters, "objective": "binary", "metric": "binary_logloss"}
    stopping = lightgbm.early_stopping(plan.patience, verbose=False)
    return lightgbm.train(parameters, bins, plan.rounds, valid_sets=[data(stop, bins)], callbacks=[stopping])


def table(medians: dict[str, float], size: Size, runs: int) -> str:
    """Returns the medians as Markdown: each way's time, memory and loss, and their ratios to PEER's."""

    def ratio(way: str, key: str) -> str:
        return f"{medians[f'{way} {key}'] / medians[f'{PEER} {key}']:.2f}"

    lines = [
        f"{size.rows:,} rows × {FEATURES} features, {size.heads} heads, {size.rounds} rounds, {size.stop:,} rows to "
        f"stop by, {size.threads} threads; medians of {runs} run{'s' if runs > 1 else ''}. "
        "×: the same of the first row.",
        "",
        "| | s | × | s of processor | × | peak MiB | × | mean log loss |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for way, told in WAYS.items():
        took, busy, peak = (medians[f"{way} {key}"] for key in ("s", "busy", "peak"))
        lines.append(
            f"| {told} | {took:.0f} | {ratio(way, 's')} | {busy:.0f} | {ratio(way, 'busy')} "
            f"| {peak / 2**20:.0f} | {ratio(way, 'peak')} | {medians[f'{way} loss']:.5f} |"
        )
    lines += ["", "Asked of the third row: no slower than the first, and at most 0.6 of its memory."]
    return "\n".join(lines)


if __name__ == "__main__":
    print(json.dumps(grown(sys.argv[1], Path(sys.argv[2]), Size(**json.loads(sys.argv[3])))))
