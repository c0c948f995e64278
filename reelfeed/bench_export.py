"""`make bench`, the export's part: feeds of 50 videos into a Redis of this machine, beside a plain loop of SET.

Each figure is taken in a process of its own, one after the other, run as `python -m reelfeed.bench_export WHAT …`,
which prints what it found as JSON. The Redis is the benchmark's own, and empty before each. A core's rate is by the
processor time of the writer and its children, Redis aside: so other work on the machine weighs little.
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
from typing import TYPE_CHECKING

import psutil

from core.settings import load_settings
from core.store import open_store
from models.handoff import Edition, encoded, feed_values, write_users
from reelfeed.bench import measure
from reelfeed.redis_server import redis_server

if TYPE_CHECKING:
    import pyarrow

SEED = 20260101
LENGTH, VIDEOS, PARTS, BATCH, DISTINCT = 50, 50_000, 64, 20_000, 1000
ASKED = 20_000


@dataclass(frozen=True)
class Size:
    """Feeds written by the hand-off alone, a quarter of them, by the whole job in Spark, and by the slow peer."""

    users: int = 200_000
    quarter: int = 50_000
    job: int = 50_000
    peer: int = 20_000


def bench_export(runs: int, size: Size | None = None) -> str:
    """Measures everything `runs` times and returns the medians as Markdown; raises UsageError without redis-server."""
    size = size or Size()
    found: dict[str, list[float]] = {}
    for _ in range(runs):
        for name, what, users in (
            ("ours", "hand_off", size.users),
            ("quarter", "hand_off", size.quarter),
            ("job", "job", size.job),
            ("peer", "loop", size.peer),
        ):
            with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as (address, _):
                measure(found, __name__, name, what, address, users)
    return table({key: statistics.median(values) for key, values in found.items()}, size)


def edition(users: int) -> Edition:
    return Edition("bench", 1, f"{users:028d}", "", PARTS, 3600)


def batches(users: int) -> Iterator[pyarrow.RecordBatch]:
    """Yields part, user_id, value of so many feeds, a part's rows one after the other."""
    import numpy as np
    import pyarrow as pa

    draw = np.random.default_rng(SEED)
    values = [encoded(draw.integers(0, VIDEOS, LENGTH).tolist()) for _ in range(DISTINCT)]
    for part in range(PARTS):
        own = np.arange(part, users, PARTS)
        for begin in range(0, len(own), BATCH):
            ids = own[begin : begin + BATCH]
            feeds = [values[user % DISTINCT] for user in ids.tolist()]
            columns = [pa.array(np.full(len(ids), part)), pa.array(ids), pa.array(feeds)]
            yield pa.RecordBatch.from_arrays(columns, names=["part", "user_id", "value"])


def hand_off(address: str, users: int) -> dict[str, float]:
    """Writes feeds as models/handoff.py does; returns what `spent` tells."""
    store = open_store(address)
    store.get("warm")
    began = clocks()
    written = sum(count for _, count in write_users(store, edition(users), batches(users)))
    assert written == users
    return spent(began)


def loop(address: str, users: int) -> dict[str, float]:
    """Writes the same feeds by one SET each, as one does at first; returns the same."""
    from redis import Redis

    redis = Redis.from_url(address)
    redis.ping()
    began = clocks()
    for batch in batches(users):
        for user, value in zip(batch.column("user_id").to_pylist(), batch.column("value").to_pylist(), strict=True):
            redis.set(f"bench:user:{user}", value, ex=3600)
    return spent(began)


def job(address: str, users: int) -> dict[str, float]:
    """Makes feeds of rows of user, slot and video, and writes them, on one core of Spark; returns the same."""
    from pyspark.sql import functions as F

    from core.spark import session
    from jobs.export_feeds import WRITTEN_DDL, writer

    local = load_settings("local")
    spark = session(replace(local, spark=replace(local.spark, master="local[1]")), "bench")
    with tempfile.TemporaryDirectory() as folder:
        video = F.pmod(F.xxhash64("id"), F.lit(VIDEOS)).alias("video_id")
        user, slot = (F.col("id") % users).alias("user_id"), (F.col("id") / users + 1).cast("int").alias("slot")
        spark.range(users * LENGTH).select(user, slot, video).write.parquet(f"{folder}/rows")
        rows = spark.read.parquet(f"{folder}/rows")
        began = clocks()
        told = feed_values(rows, PARTS).mapInArrow(writer(address, edition(users)), WRITTEN_DDL).collect()
        assert sum(row["users"] for row in told) == users
        return spent(began)


def clocks() -> tuple[float, float]:
    """Returns wall time and the processor time of this process and its children, those that ended too, in seconds."""
    process = psutil.Process()
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    # A child that has ended and was waited for is counted by its parent.
    used = sum(one.user + one.system + one.children_user + one.children_system for one in times)
    return time.monotonic(), used


def spent(began: tuple[float, float]) -> dict[str, float]:
    """Returns seconds of wall time and of processor time since `began`, what `clocks` told."""
    wall, processor = (now - then for now, then in zip(clocks(), began, strict=True))
    return {"s": wall, "cpu": processor}


def table(medians: dict[str, float], size: Size) -> str:
    """Returns the medians as Markdown: feeds a second and core, beside what is asked, and memory."""

    def rate(key: str, users: int) -> float:
        return users / medians[f"{key} cpu"]

    ours, whole, peer = rate("ours", size.users), rate("job", size.job), rate("peer", size.peer)
    memory = medians["ours peak"] / medians["quarter peak"]
    lines = [
        f"| into a local Redis, {LENGTH} videos a feed | feeds | s | s of processor | feeds per s and core |",
        "|---|---|---|---|---|",
    ]
    for told, key, users in (
        ("a loop of SET, redis-py", "peer", size.peer),
        ("models/handoff.py, from Arrow batches", "ours", size.users),
        ("the job: rows to feeds to Redis, in Spark", "job", size.job),
    ):
        seconds = f"{medians[f'{key} s']:.1f} | {medians[f'{key} cpu']:.1f}"
        lines.append(f"| {told} | {users:,} | {seconds} | {rate(key, users):,.0f} |")
    lines += ["", "| | | asked |", "|---|---|---|"]
    lines += [
        f"| models/handoff.py, feeds per s and core | {ours:,.0f} | at least {ASKED:,} |",
        f"| models/handoff.py ÷ the loop | {ours / peer:.1f} | |",
        f"| the job ÷ the loop | {whole / peer:.1f} | |",
        f"| memory for {size.users:,} feeds ÷ for {size.quarter:,} | {memory:.2f} | at most 1.1 |",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    CHILDREN: dict[str, Callable[[str, int], dict[str, float]]] = {"hand_off": hand_off, "loop": loop, "job": job}
    print(json.dumps(CHILDREN[sys.argv[1]](sys.argv[2], int(sys.argv[3]))))
