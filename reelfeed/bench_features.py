"""`make bench`, the features' part: 20 million impressions of 28 days through the engine and through DuckDB.

A night is what `build_features` does of sums: tiles of the day, then the windowed sums, published. A full recompute
makes the same sums from the impressions of 28 days. The join puts snapshots beside a million impressions.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from core.job import Job, JobContext
from core.lake import Lake
from core.recipe import load_recipe
from core.settings import ROOT, load_settings, with_home
from features.group import FeatureGroup
from features.measures import AFFINITY
from features.window import last
from reelfeed.bench import weighed

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    from pyspark.sql import DataFrame

SEED = 20260101
USERS, VIDEOS, AUTHORS, TAGS = 500_000, 100_000, 20_000, 50
A_DAY, DAYS, HISTORY = 714_286, 28, 112
JOINED = 1_000_000
FIRST = date(2026, 1, 1)
WINDOWS = (1, 7, 28)
DUCKDB = "DuckDB"


def _group(name: str, *entity: str) -> FeatureGroup:
    return FeatureGroup(
        name=f"bench_{name}",
        doc=f"Impressions by {name}.",
        owner="bench",
        entity=entity,
        windows=last(*WINDOWS),
        features=AFFINITY,
        prior_strength=10,
        max_age_hours=36,
    )


GROUPS = (
    _group("video", "video_id"),
    _group("author", "author_id"),
    _group("user", "user_id"),
    _group("user_tag", "user_id", "tag_id"),
)
JOB = Job(
    name="bench",
    doc="Sums of the bench's groups.",
    owner="bench",
    reads=(),
    writes=tuple(group.tiles for group in GROUPS),
    keeps=tuple(group.sums for group in GROUPS),
    run=lambda ctx: None,
    spans=True,
)


@dataclass
class Bench:
    """Logs and a lake in `folder`; the seconds that each thing took, by its name; most memory of Spark's, in bytes."""

    folder: Path
    seconds: dict[str, list[float]] = field(default_factory=dict)
    peak: int = 0

    def timed(self, name: str, work: Callable[[], object]) -> None:
        began = time.monotonic()
        with weighed(os.getpid()) as peak:
            work()
        if not name.endswith(DUCKDB):
            self.peak = max(self.peak, peak[0])
        self.seconds.setdefault(name, []).append(time.monotonic() - began)
        click.echo(f"  {name}: {self.seconds[name][-1]:.1f} s")

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def context(self, first: date, last: date, end: date) -> JobContext:
        local = load_settings("local")
        spark = replace(local.spark, shuffle_partitions=8, driver_memory="4g")
        settings = with_home(replace(local, spark=spark), self.folder)
        days = tuple(first + timedelta(days=i) for i in range((last - first).days + 1))
        return JobContext(JOB, days, settings, load_recipe("for_you"), "", "", lake_of(self.folder, end))

    def impressions(self, ctx: JobContext, days: Sequence[date]) -> DataFrame:
        from pyspark.sql import functions as F

        files = [str(self.folder / "logs" / f"ds={day}") for day in days]
        rows = ctx.spark.read.option("basePath", str(self.folder / "logs")).parquet(*files)
        return rows.withColumn("ds", F.col("ds").cast("date"))


def lake_of(folder: Path, end: date) -> Lake:
    """Returns the lake in which the night of `end` is measured: nothing but what lies before it is there."""
    return Lake(str(folder / f"lake-{end}"))


def bench_features(runs: int) -> str:
    """Runs everything `runs` times in a folder of its own, and returns the medians as Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        measure(bench, runs)
    return f"{table(bench)}\n\nPeak memory of driver and workers together: {bench.peak / 2**30:.1f} GiB."


def measure(bench: Bench, runs: int) -> None:
    """Fills `bench`: each thing and its peer in turn, so that what the machine does meanwhile meets both."""
    near, far = FIRST + timedelta(days=DAYS), FIRST + timedelta(days=HISTORY)
    write_logs(bench.folder / "logs", HISTORY + 1)
    load(bench, near)
    load(bench, far)
    for _ in range(runs):
        bench.timed(f"full recompute, {DUCKDB}", lambda: _in_a_process("duck_sums", bench.folder))
        bench.timed("full recompute, Spark", lambda: full(bench, near))
        bench.timed(f"a night after {DAYS} days", lambda: night(bench, near, near))
        bench.timed(f"a night after {HISTORY} days", lambda: night(bench, far, far))
    ask(bench, near)
    for _ in range(runs):
        bench.timed(f"join, {DUCKDB}", lambda: _in_a_process("duck_join", bench.folder))
        bench.timed("join, Spark", lambda: join(bench, near))


def write_logs(folder: Path, days: int) -> None:
    """Writes `days` days of A_DAY impressions: users of uneven activity, videos of uneven popularity."""
    import numpy as np
    from pyarrow import parquet

    draw = np.random.default_rng(SEED)
    active = np.cumsum(draw.lognormal(0, 1, USERS))
    popular = np.cumsum(draw.permutation(1 / np.arange(1, VIDEOS + 1) ** 0.8))
    tagged = np.cumsum(1 / np.arange(1, TAGS + 1) ** 0.7)
    author, length = draw.integers(0, AUTHORS, VIDEOS), draw.integers(5_000, 120_000, VIDEOS)
    tag = np.searchsorted(tagged / tagged[-1], draw.random(VIDEOS)).astype(np.int32)
    for day in range(days):
        draw = np.random.default_rng([SEED, day])
        user = np.searchsorted(active / active[-1], draw.random(A_DAY))
        video = np.searchsorted(popular / popular[-1], draw.random(A_DAY))
        rows = _impressions(user, video, author[video], tag[video], length[video], draw, FIRST + timedelta(days=day))
        target = folder / f"ds={FIRST + timedelta(days=day)}"
        target.mkdir(parents=True)
        parquet.write_table(rows, target / "part-0.parquet")


def _impressions(
    user: np.ndarray, video: np.ndarray, author: np.ndarray, tag: np.ndarray, length: np.ndarray, draw: Any, day: date
) -> pyarrow.Table:
    import numpy as np
    import pyarrow as pa

    watch = (length * draw.exponential(0.5, len(user))).astype(np.int64)
    return pa.table(
        {
            "user_id": user.astype(np.int64),
            "video_id": video.astype(np.int64),
            "author_id": author,
            "tag_id": tag,
            "duration_ms": length,
            "watch_ms": watch,
            "is_long_view": watch >= np.minimum(length, 18_000),
            "is_like": draw.random(len(user)) < 0.02,
            "shown_on": pa.repeat(pa.scalar(day), len(user)),
        }
    )


def load(bench: Bench, end: date) -> None:
    """Publishes the tiles of all days before `end`, and the sums of the last of them."""
    from features.tiles import tiles

    first, eve = FIRST, end - timedelta(days=1)
    while first < eve:
        ctx = bench.context(first, min(first + timedelta(days=DAYS), eve) - timedelta(days=1), end)
        for group in GROUPS:
            ctx.publish(group.tiles, tiles(bench.impressions(ctx, ctx.days), group), grouped=True)
        first = ctx.ds + timedelta(days=1)
    night(bench, eve, end)


def night(bench: Bench, day: date, end: date) -> None:
    """Publishes tiles and sums of `day` in the lake of `end`, as build_features does."""
    from features.tiles import tiles
    from jobs.build_features import carried

    ctx = bench.context(day, day, end)
    ctx = replace(ctx, settings=replace(ctx.settings, carry_from_tiles=0))
    for group in GROUPS:
        ctx.publish(group.tiles, tiles(bench.impressions(ctx, ctx.days), group), grouped=True)
        carried(ctx, group)


def full(bench: Bench, day: date) -> None:
    """Makes the sums at the end of `day` from the impressions of the longest window."""
    from features import running
    from features.tiles import measured, window_sums

    ctx = bench.context(day, day, day)
    seen = bench.impressions(ctx, [day - timedelta(days=i) for i in range(DAYS)])
    for group in GROUPS:
        target, rows = str(bench.folder / "full" / group.name), measured(seen, group)
        if len(group.entity) > 1:
            running.write(running.everything(rows, group, day), group, day, {}, target)
        else:
            window_sums(rows, group, [day]).write.mode("overwrite").parquet(target)


def join(bench: Bench, day: date) -> None:
    """Puts the sums of the two days before beside impressions of `day` and the day before, as vectors are made."""
    from pyspark.sql import functions as F

    from features.point_in_time import narrowed

    ctx = bench.context(day, day, day)
    rows = ctx.spark.read.parquet(str(bench.folder / "asked"))
    names = [column.name for column in GROUPS[0].sums.columns if column.name != "video_id"]
    joined = rows
    for group in reversed(GROUPS):
        snapshot = ctx.lake.read(ctx.spark, group.sums, [day - timedelta(days=1), day])
        kept = narrowed(snapshot, group, rows)
        values = F.array(*[F.col(name).cast("float") for name in names]).alias(group.name)
        keyed = kept.select(*group.entity, F.col("ds").alias("snapshot_ds"), values)
        joined = joined.join(keyed, on=[*group.entity, "snapshot_ds"], how="left")
    joined.write.mode("overwrite").parquet(str(bench.folder / "joined"))


def ask(bench: Bench, day: date) -> None:
    """Writes JOINED impressions, with the days whose sums they see."""
    from pyspark.sql import functions as F

    ctx = bench.context(day, day, day)
    rows = bench.impressions(ctx, [day - timedelta(days=1), day])
    keys = rows.select("user_id", "video_id", "author_id", "tag_id", F.col("ds").alias("snapshot_ds"))
    keys.limit(JOINED).repartition(4).write.parquet(str(bench.folder / "asked"))


def _in_a_process(what: str, folder: Path) -> None:
    """Runs a function of reelfeed/bench_duckdb.py: its memory is not to count as the engine's."""
    subprocess.run([sys.executable, "-m", "reelfeed.bench_duckdb", what, str(folder)], check=True, cwd=ROOT)


def table(bench: Bench) -> str:
    """Returns the medians as Markdown, each beside its peer."""
    nights = [f"a night after {days} days" for days in (DAYS, HISTORY)]
    peers = {  # what: (its peer, the most times its seconds)
        "full recompute, Spark": (f"full recompute, {DUCKDB}", 3.0),
        nights[0]: ("full recompute, Spark", 0.5),
        nights[1]: (nights[0], 1.2),
        "join, Spark": (f"join, {DUCKDB}", 5.0),
    }
    lines = ["| | s | × its peer | at most |", "|---|---|---|---|"]
    for name in bench.seconds:
        told = ""
        if name in peers:
            peer, most = peers[name]
            told = f"{bench.median(name) / bench.median(peer):.2f} × {peer} | {most:g}"
        lines.append(f"| {name} | {bench.median(name):.1f} | {told or ' | '} |")
    return "\n".join(lines)
