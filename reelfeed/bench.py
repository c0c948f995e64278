"""`make bench`: the default world's whole night, and the heaviest work of it at size; into docs/benchmarks.md."""

from __future__ import annotations

import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import partial

import click
import psutil

from core.errors import ReelfeedError
from core.settings import ROOT
from reelfeed.documents import write_block

NIGHT = date(2026, 1, 14)
LAP = re.compile(r"^ +(\d+) s  (.+)$", re.MULTILINE)
STAGE = re.compile(r"^  ([a-z ]+?) +([\d,]+) rows +([\d.]+) s$", re.MULTILINE)
LOOK_EVERY_SECONDS = 0.5


def bench(parts: Sequence[str], runs: int, users: tuple[int, int]) -> str:
    """Runs each of `parts` `runs` times, writes the medians into docs/benchmarks.md and returns them.

    `parts` are of reelfeed.options.BENCHES; `users` are the two sizes of part feeds.

    Seconds are wall time; memory is what all processes of a run held at most, seen twice a second, pages they share
    counted once.
    Raises ReelfeedError where a night fails.
    """
    from reelfeed.bench_export import bench_export
    from reelfeed.bench_features import bench_features
    from reelfeed.bench_feeds import bench_feeds
    from reelfeed.bench_metrics import bench_metrics
    from reelfeed.bench_rerank import bench_rerank
    from reelfeed.bench_rollback import bench_rollback
    from reelfeed.bench_scoring import bench_scoring
    from reelfeed.bench_search import bench_search
    from reelfeed.bench_training import bench_training

    measures: dict[str, Callable[[int], str]] = {
        "night": bench_night,
        "features": bench_features,
        "search": bench_search,
        "scoring": bench_scoring,
        "rerank": bench_rerank,
        "metrics": bench_metrics,
        "training": bench_training,
        "export": bench_export,
        "rollback": bench_rollback,
        "feeds": partial(bench_feeds, users=users),
    }
    found = []
    for part in parts:
        found.append(measures[part](runs))
        write_block("benchmarks.md", f"bench {part}", found[-1])
    return "\n\n".join(found)


def bench_night(runs: int) -> str:
    """Returns the medians of `runs` nights as Markdown."""
    laps: dict[str, list[float]] = {}
    stages: dict[str, list[float]] = {}
    rows: dict[str, str] = {}
    peaks = []
    for number in range(1, runs + 1):
        click.echo(f"night {number} of {runs} …")
        said, peak = _one_night()
        peaks.append(peak)
        for seconds, name in LAP.findall(said):
            laps.setdefault(name, []).append(float(seconds))
        for name, count, seconds in STAGE.findall(said):
            stages.setdefault(name, []).append(float(seconds))
            rows[name] = count
    return _text(laps, stages, rows, peaks)


def _one_night() -> tuple[str, int]:
    """Returns what one night in a home of its own printed, and its peak memory in bytes."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "reelfeed", "night", "--ds", str(NIGHT)]
        environment = {**os.environ, "REELFEED_HOME": home}
        process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        with weighed(process.pid) as peak:
            said, errors = process.communicate()
    if process.returncode:
        raise ReelfeedError(f"the night failed: {errors.strip().splitlines()[-1]}", next_step="reelfeed night --ds …")
    return said, peak[0]


@contextlib.contextmanager
def weighed(pid: int) -> Iterator[list[int]]:
    """Yields a list of one item: by the end, the most memory of process `pid` and its children, in bytes."""
    peak, done = [0], threading.Event()
    watcher = threading.Thread(target=_watch, args=(pid, peak, done))
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def measure(found: dict[str, list[float]], module: str, name: str, what: str, *arguments: object) -> None:
    """Adds to `found` the figures that `python -m module what arguments` prints as JSON, each under `name` and its key.

    `peak` is the most memory of that process and its children, in bytes.
    """
    began = time.monotonic()
    command = [sys.executable, "-m", module, what, *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with weighed(process.pid) as peak:
        said, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    for key, value in {**json.loads(said.splitlines()[-1]), "peak": peak[0]}.items():
        found.setdefault(f"{name} {key}", []).append(value)
    took, at_most = time.monotonic() - began, peak[0] / 2**20
    click.echo(f"  {name}: {took:.0f} s, at most {at_most:,.0f} MiB, of them {said.splitlines()[-1]}")


def _watch(pid: int, peak: list[int], done: threading.Event) -> None:
    while not done.wait(LOOK_EVERY_SECONDS):
        total = 0
        try:
            processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
            if sum(process.memory_info().rss for process in processes) <= peak[0]:
                continue  # The sum below is no larger, and takes the kernel much longer.
            # What processes share counts once: Java's copy of itself, as it starts another program, is no memory.
            total = sum(process.memory_full_info().pss for process in processes)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        peak[0] = max(peak[0], total)


def _text(laps: dict[str, list[float]], stages: dict[str, list[float]], rows: dict[str, str], peaks: list[int]) -> str:
    runs = len(peaks)
    lines = [f"`make bench`, {runs} run{'s' if runs > 1 else ''}, medians, {os.cpu_count()} cores.", ""]
    lines += ["| stretch of `make run` | s |", "|---|---|"]
    lines += [f"| {name} | {statistics.median(seconds):.0f} |" for name, seconds in laps.items()]
    lines += ["", f"Peak memory of all processes: {statistics.median(peaks) / 2**30:.1f} GiB.", ""]
    lines += ["| stage of the night | rows | s from the job's start until published |", "|---|---|---|"]
    lines += [f"| {name} | {rows[name]} | {statistics.median(seconds):.1f} |" for name, seconds in stages.items()]
    return "\n".join(lines)
