"""`make bench`, the search's part: 100 unseen videos of largest inner product of 50,000 for each of 100,000 users.

Each figure is taken in a process of its own, one after the other, run as `python -m reelfeed.bench_search WHAT …`,
which prints what it found as JSON. What is timed begins warm: a small part of the same work has been done before.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from core.settings import load_settings
from reelfeed.bench import measure, weighed

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    from pyspark.sql import DataFrame, SparkSession

SEED = 20260101
DIMENSIONS, SEEN, QUOTA = 64, 50, 100
CORES, FILES = 2, 8
ONE_IN = 10
"""Of so many users one is searched for before the clock starts."""
CLUSTERS, SPREAD = 500, 1.0
"""The graph's embeddings are clustered as real ones are: centres of unit variance, SPREAD the deviation around them."""
HEAP = "1g"


@dataclass(frozen=True)
class Size:
    """Users and videos of the search; `few` of the users, to see whether memory grows with them; `subset` of the users,
    for the peer that is slow; the pools searched by a graph, for `graph_users` users."""

    users: int = 100_000
    few: int = 25_000
    subset: int = 4_000
    videos: int = 50_000
    pools: tuple[int, ...] = (50_000, 200_000)
    graph_users: int = 4_000


def bench_search(runs: int, size: Size | None = None) -> str:
    """Measures everything `runs` times in a folder of its own, and returns the medians as Markdown."""
    size = size or Size()
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, size)
        for _ in range(runs):
            measure(found, __name__, "bare", "bare", folder / "all")
            measure(found, __name__, "spark", "spark", folder / "all")
            measure(found, __name__, "als", "als", folder / "subset")
            measure(found, __name__, "few", "spark", folder / "few")
            for pool in size.pools:
                measure(found, __name__, f"graph {pool}", "graph", pool, size.graph_users)
    return table({key: statistics.median(values) for key, values in found.items()}, size)


def write(folder: Path, size: Size) -> None:
    """Writes the pool's vectors, and the users that ask: `all`, `few` and `subset` of them."""
    import numpy as np

    draw = np.random.default_rng(SEED)
    np.save(folder / "videos.npy", draw.standard_normal((size.videos, DIMENSIONS), dtype=np.float32))
    users = asking(draw.standard_normal((size.users, DIMENSIONS), dtype=np.float32), size.videos, draw)
    for name, count in (("all", size.users), ("few", size.few), ("subset", size.subset)):
        _write(users.slice(0, count), folder / name)


def _write(users: pyarrow.RecordBatch, folder: Path) -> None:
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    folder.mkdir()
    edges = np.linspace(0, users.num_rows, FILES + 1).astype(int)
    for i in range(FILES):
        part = users.slice(edges[i], edges[i + 1] - edges[i])
        parquet.write_table(pa.Table.from_batches([part]), folder / f"part-{i}.parquet")


def asking(embeddings: np.ndarray, videos: int, draw: np.random.Generator) -> pyarrow.RecordBatch:
    """Returns user_id, seen (SEEN videos drawn evenly, in order), embedding, for each row of `embeddings`."""
    import numpy as np
    import pyarrow as pa

    def lists(flat: np.ndarray, length: int) -> pyarrow.Array:
        return pa.ListArray.from_arrays(
            pa.array(np.arange(len(embeddings) + 1, dtype=np.int32) * length), pa.array(flat)
        )

    seen = np.sort(draw.integers(0, videos, (len(embeddings), SEEN)), axis=1)
    columns = [pa.array(np.arange(len(embeddings))), lists(seen.ravel(), SEEN), lists(embeddings.ravel(), DIMENSIONS)]
    return pa.RecordBatch.from_arrays(columns, names=["user_id", "seen", "embedding"])


def bare(folder: Path) -> dict[str, float]:
    """Returns seconds of the search without Spark: CORES processes of one thread, each with its part of the users."""
    # Forked before faiss is loaded, whose threads would not survive it.
    context = multiprocessing.get_context("fork")
    together, told = context.Barrier(CORES), context.Queue()
    for number in range(CORES):
        context.Process(target=_bare_part, args=(folder, number, together, told)).start()
    parts = [told.get() for _ in range(CORES)]
    return {key: max(part[key] for part in parts) for key in parts[0]}


def _bare_part(folder: Path, number: int, together: Any, told: Any) -> None:
    import numpy as np
    from pyarrow import parquet

    from models.nearest import USERS_AT_ONCE, index, nearest_unseen, use_one_thread

    use_one_thread()
    matrix = np.load(folder.parent / "videos.npy")
    video_ids, searched = np.arange(len(matrix)), index(matrix)
    files = sorted(folder.iterdir())[number::CORES]
    users = parquet.read_table(files).combine_chunks().to_batches(max_chunksize=USERS_AT_ONCE)
    vectors = [np.asarray(part.column("embedding").flatten()).reshape(-1, DIMENSIONS) for part in users]
    nearest_unseen(users[0], video_ids, searched, QUOTA)

    seconds = {}
    for key, search in {
        "unseen_s": lambda: [nearest_unseen(part, video_ids, searched, QUOTA) for part in users],
        "search_s": lambda: [searched.search(part, QUOTA) for part in vectors],
    }.items():
        together.wait()
        seconds[key] = _seconds(search)
    told.put(seconds)


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def spark(folder: Path) -> dict[str, float]:
    """Returns seconds of propose_nearest of users in Parquet files, and the peak memory of Spark's Python in bytes."""
    import numpy as np

    from models.nearest import propose_nearest

    matrix = np.load(folder.parent / "videos.npy")
    users = _session().read.parquet(str(folder))

    def search(rows: DataFrame) -> None:
        found = propose_nearest(rows, np.arange(len(matrix)), matrix, QUOTA)
        found.write.mode("overwrite").format("noop").save()

    search(users.where(f"user_id % {ONE_IN} = 0"))
    (java,) = psutil.Process().children()
    python = next(child for child in java.children() if child.name().startswith("python"))
    with weighed(python.pid) as peak:
        seconds = _seconds(lambda: search(users))
    return {"s": seconds, "workers": peak[0]}


def als(folder: Path) -> dict[str, float]:
    """Returns seconds of ALSModel.recommendForUserSubset for users in Parquet files, with the same vectors."""
    import numpy as np
    from pyspark.ml.recommendation import ALS, ALSModel
    from pyspark.sql import functions as F

    session, target = _session(), str(folder.parent / "als")
    # Fitted to one rating, and saved for its metadata alone: the factors are replaced.
    rated = session.createDataFrame([(0, 0, 1.0)], "user int, item int, rating float")
    ALS(rank=DIMENSIONS, maxIter=1, seed=SEED).fit(rated).write().overwrite().save(target)
    matrix = np.load(folder.parent / "videos.npy")
    _write(asking(matrix, len(matrix), np.random.default_rng(SEED)), folder.parent / "items")
    ids = F.col("user_id").cast("int").alias("id")
    for factors, source in (("userFactors", folder), ("itemFactors", folder.parent / "items")):
        rows = session.read.parquet(str(source)).select(ids, F.col("embedding").alias("features"))
        rows.write.mode("overwrite").parquet(f"{target}/{factors}")
    model = ALSModel.load(target)
    users = model.userFactors.select(F.col("id").alias("user"))

    def search(rows: DataFrame) -> None:
        found = model.recommendForUserSubset(rows, QUOTA)
        found.write.mode("overwrite").format("noop").save()

    search(users.where(f"user % {ONE_IN} = 0"))
    return {"s": _seconds(lambda: search(users))}


def _session() -> SparkSession:
    from core.spark import session

    settings = load_settings("local")
    return session(replace(settings, spark=replace(settings.spark, driver_memory=HEAP)), "bench")


def graph(videos: int, users: int) -> dict[str, float]:
    """Returns seconds to build the graph of `videos` clustered vectors and, both in one thread, to search it and the
    exact index for `users` users; and the share of what is exact that the graph finds."""
    import numpy as np

    from models import nearest

    draw = np.random.default_rng(SEED)
    centres = draw.standard_normal((CLUSTERS, DIMENSIONS), dtype=np.float32)

    def clustered(count: int) -> np.ndarray:
        around = SPREAD * draw.standard_normal((count, DIMENSIONS), dtype=np.float32)
        return centres[draw.integers(0, CLUSTERS, count)] + around

    matrix, video_ids = clustered(videos), np.arange(videos)
    batch = asking(clustered(users), videos, draw)
    began = time.monotonic()
    made = nearest.graph(matrix)
    figures = {"build_s": time.monotonic() - began}
    nearest.use_one_thread()
    pairs = {}
    for key, searched in (("exact", nearest.index(matrix)), ("graph", made)):
        began = time.monotonic()
        found = nearest.nearest_unseen(batch, video_ids, searched, QUOTA)
        figures[f"{key}_s"] = time.monotonic() - began
        lengths = np.asarray(found.column("videos").value_lengths())
        rows = np.repeat(np.asarray(found.column("user_id")), lengths)
        pairs[key] = rows * videos + np.asarray(found.column("videos").flatten())
    return {**figures, "recall": float(np.isin(pairs["exact"], pairs["graph"]).mean())}


def table(medians: dict[str, float], size: Size) -> str:
    """Returns the medians as Markdown: rates, their ratios beside what is asked of them, memory, the graph."""

    def rate(key: str, users: int, videos: int, cores: int = CORES) -> float:
        return users * videos / medians[key] / cores / 1e6

    search = rate("bare search_s", size.users, size.videos)
    unseen = rate("bare unseen_s", size.users, size.videos)
    ours = rate("spark s", size.users, size.videos)
    theirs = rate("als s", size.subset, size.videos)
    kernel, peer = "`nearest_unseen`, without Spark", "`ALSModel.recommendForUserSubset`"
    lines = ["| | users | s | million pairs per s and core |", "|---|---|---|---|"]
    lines += [
        f"| faiss `IndexFlatIP`, without Spark | {size.users:,} | {medians['bare search_s']:.1f} | {search:.0f} |",
        f"| {kernel} | {size.users:,} | {medians['bare unseen_s']:.1f} | {unseen:.0f} |",
        f"| `propose_nearest` | {size.users:,} | {medians['spark s']:.1f} | {ours:.0f} |",
        f"| {peer} | {size.subset:,} | {medians['als s']:.1f} | {theirs:.1f} |",
    ]
    grown = medians["spark workers"] / medians["few workers"]
    lines += ["", "| | × | asked |", "|---|---|---|"]
    lines += [
        f"| `propose_nearest` ÷ {peer}, per core | {ours / theirs:.1f} | at least 20 |",
        f"| `propose_nearest` ÷ {kernel}, per core | {ours / unseen:.2f} | at least 0.6 |",
        f"| the same ÷ faiss `IndexFlatIP`, per core | {ours / search:.2f} | |",
        f"| Python's memory for {size.users:,} users ÷ for {size.few:,} | {grown:.2f} | at most 1.1 |",
    ]
    lines += ["", "| peak memory, MiB | Python's workers | all processes |", "|---|---|---|"]
    for users, key in ((size.few, "few"), (size.users, "spark")):
        workers, everything = (medians[f"{key} {kind}"] / 2**20 for kind in ("workers", "peak"))
        lines.append(f"| {users:,} users | {workers:.0f} | {everything:.0f} |")
    lines += ["", "| graph of | s to build | recall@100 | million pairs per s | exact index |", "|---|---|---|---|---|"]
    for pool in size.pools:
        fast, exact = (rate(f"graph {pool} {kind}_s", size.graph_users, pool, 1) for kind in ("graph", "exact"))
        told = (
            f"{medians[f'graph {pool} build_s']:.1f} | {medians[f'graph {pool} recall']:.3f} | {fast:.0f} | {exact:.0f}"
        )
        lines.append(f"| {pool:,} videos | {told} |")
    return "\n".join(lines)


if __name__ == "__main__":
    CHILDREN: dict[str, Callable[[], dict[str, float]]] = {
        "bare": lambda: bare(Path(sys.argv[2])),
        "spark": lambda: spark(Path(sys.argv[2])),
        "als": lambda: als(Path(sys.argv[2])),
        "graph": lambda: graph(int(sys.argv[2]), int(sys.argv[3])),
    }
    print(json.dumps(CHILDREN[sys.argv[1]]()))
