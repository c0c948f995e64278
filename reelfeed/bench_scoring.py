"""`make bench`, the scoring's part: 7 heads of 200 trees of 63 leaves over 60 features, beside `Booster.predict`.

Each figure is taken in a process of its own, one after the other, run as `python -m reelfeed.bench_scoring WHAT …`,
which prints what it found as JSON. What is timed begins warm: a small part of the same work has been done before.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from core.settings import load_settings
from reelfeed.bench import measure, weighed

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

SEED = 20260101
FEATURES, CATEGORIES, FEW = 60, 12, 30
HEADS, TREES, LEAVES, BINS = 7, 200, 63, 63
GUESS_TREES, GUESS_LEAVES, CUT = 100, 31, 4
"""The pre-ranker's trees over the first FEW features; it leaves one row in CUT to the ranker."""
UNKNOWN = 0.1
CORES, FILES, BATCH = 2, 8, 20_000
HEAP = "1g"


@dataclass(frozen=True)
class Size:
    """Rows that teach the models, rows scored, a quarter of them, and those that the slow peer scores."""

    train: int = 60_000
    rows: int = 1_200_000
    quarter: int = 300_000
    peer: int = 80_000


def bench_scoring(runs: int, size: Size | None = None) -> str:
    """Measures everything `runs` times in a folder of its own, and returns the medians as Markdown."""
    size = size or Size()
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, size)
        for _ in range(runs):
            measure(found, __name__, "ours", "spark", folder / "rows", "ranked")
            measure(found, __name__, "quarter", "spark", folder / "quarter", "ranked")
            measure(found, __name__, "cut", "spark", folder / "rows", "cut")
            measure(found, __name__, "peer", "spark", folder / "peer", "by_lightgbm")
    return table({key: statistics.median(values) for key, values in found.items()}, size)


def write(folder: Path, size: Size) -> None:
    """Writes the models' texts, and rows to be scored in Parquet files."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    draw = np.random.default_rng(SEED)
    teaching = drawn(draw, size.train)
    texts = [_taught(teaching, draw, FEATURES, TREES, LEAVES) for _ in range(HEADS)]
    guess = _taught(teaching, draw, FEW, GUESS_TREES, GUESS_LEAVES)
    (folder / "models.json").write_text(json.dumps({"heads": texts, "guess": guess}), "utf-8")
    for name, rows in (("rows", size.rows), ("quarter", size.quarter), ("peer", size.peer)):
        (folder / name).mkdir()
        for part in range(FILES):
            matrix = drawn(draw, rows // FILES)
            offsets = np.arange(0, matrix.size + 1, FEATURES, dtype=np.int32)
            lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(matrix.ravel()))
            parquet.write_table(pa.table({"features": lists}), folder / name / f"part-{part}.parquet")


def drawn(draw: np.random.Generator, rows: int) -> NDArray[np.float32]:
    """Returns features (rows, FEATURES): normal ones, the last a category, a tenth of all unknown."""
    import numpy as np

    matrix = draw.standard_normal((rows, FEATURES), dtype=np.float32)
    matrix[:, -1] = draw.integers(0, CATEGORIES, rows)
    matrix[draw.random(matrix.shape, dtype=np.float32) < UNKNOWN] = np.nan
    return matrix


def _taught(matrix: NDArray[np.float32], draw: np.random.Generator, width: int, trees: int, leaves: int) -> str:
    """Returns the text of a model of a label that follows every feature a little, and one of them in waves."""
    import lightgbm
    import numpy as np

    known = np.nan_to_num(matrix)
    odds = 0.2 * known @ draw.standard_normal(FEATURES) + np.sin(3 * known[:, draw.integers(FEW)])
    label = (draw.random(len(matrix)) < 1 / (1 + np.exp(-odds))).astype(np.float64)
    categorical = [FEATURES - 1] if width == FEATURES else []
    parameters = {"objective": "binary", "num_leaves": leaves, "max_bin": BINS, "verbosity": -1, "seed": SEED}
    # One thread: those of LightGBM would spin for minutes beside anything else that runs.
    parameters["num_threads"] = 1
    data = lightgbm.Dataset(matrix[:, :width], label, categorical_feature=categorical, params=parameters)
    return str(lightgbm.train(parameters, data, trees).model_to_string())


def spark(folder: Path, how: str) -> dict[str, float]:
    """Returns seconds of scoring the rows of `folder` in Arrow batches, and the peak memory of Spark's Python in bytes.

    ranked: all heads by models/scorer.py; by_lightgbm: all heads by Booster.predict; cut: the pre-ranker over all rows
    and the heads over one in CUT.
    """
    from core.spark import session

    settings = load_settings("local")
    running = session(replace(settings, spark=replace(settings.spark, driver_memory=HEAP)), "bench")
    models = json.loads((folder.parent / "models.json").read_text("utf-8"))
    rows = running.read.parquet(str(folder))

    def score(part: object) -> None:
        found = part.mapInArrow(_batches(models, how), "value double")  # type: ignore[attr-defined]
        found.write.mode("overwrite").format("noop").save()

    score(running.read.parquet(str(folder / "part-0.parquet")).limit(2_000).repartition(CORES).cache())
    (java,) = psutil.Process().children()
    python = next(child for child in java.children() if child.name().startswith("python"))
    with weighed(python.pid) as peak:
        began = time.monotonic()
        score(rows)
        seconds = time.monotonic() - began
    return {"s": seconds, "workers": peak[0]}


def _batches(models: dict[str, Any], how: str):  # type: ignore[no-untyped-def]  # what mapInArrow takes
    heads, guess = tuple(models["heads"]), models["guess"]

    def values(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import lightgbm
        import numpy as np
        import pyarrow as pa

        from models.scorer import scorer

        boosters = [lightgbm.Booster(model_str=text) for text in heads] if how == "by_lightgbm" else []
        for batch in batches:
            matrix = np.asarray(batch.column("features").flatten(), np.float32).reshape(batch.num_rows, -1)
            if how == "cut":
                guessed = scorer((guess,)).predict(matrix[:, :FEW])[:, 0]
                best = np.argpartition(-guessed, len(guessed) // CUT)[: len(guessed) // CUT]
                matrix = matrix[best]
            if boosters:
                found = np.column_stack([booster.predict(matrix, num_threads=1) for booster in boosters])
            else:
                found = scorer(heads).predict(matrix)
            yield pa.RecordBatch.from_arrays([pa.array(found.sum(axis=1))], names=["value"])

    return values


def table(medians: dict[str, float], size: Size) -> str:
    """Returns the medians as Markdown: rates per core, their ratios beside what is asked of them, memory."""

    def rate(key: str, rows: int) -> float:
        return rows / medians[f"{key} s"] / CORES

    ours, cut, peer = rate("ours", size.rows), rate("cut", size.rows), rate("peer", size.peer)
    lines = ["| in Spark's Arrow batches | rows | s | rows per s and core |", "|---|---|---|---|"]
    for told, key, rows in (
        ("`Booster.predict`, head by head", "peer", size.peer),
        ("models/scorer.py, all heads", "ours", size.rows),
        (f"pre-ranker over all, all heads over one in {CUT}", "cut", size.rows),
    ):
        lines.append(f"| {told} | {rows:,} | {medians[f'{key} s']:.1f} | {rate(key, rows):,.0f} |")
    memory = medians["ours workers"] / medians["quarter workers"]
    lines += ["", "| | × | asked |", "|---|---|---|"]
    lines += [
        f"| models/scorer.py ÷ `Booster.predict` | {ours / peer:.1f} | at least 5 |",
        f"| with the pre-ranker ÷ `Booster.predict`, per candidate | {cut / peer:.1f} | at least 15 |",
        f"| Python's memory for {size.rows:,} rows ÷ for {size.quarter:,} | {memory:.2f} | at most 1.1 |",
        "",
        f"Peak memory of Spark's Python for {size.rows:,} rows: {medians['ours workers'] / 2**20:.0f} MiB.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    CHILDREN: dict[str, Callable[[], dict[str, float]]] = {"spark": lambda: spark(Path(sys.argv[2]), sys.argv[3])}
    print(json.dumps(CHILDREN[sys.argv[1]]()))
