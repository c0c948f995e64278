"""`make bench`: the default world's whole night in scratch homes, timed and weighed, written to docs/benchmarks.md."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
from datetime import date

import click
import psutil

from core.errors import ReelfeedError
from core.settings import ROOT

DOCUMENT = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
NIGHT = date(2026, 1, 14)
LAP = re.compile(r"^ +(\d+) s  (.+)$", re.MULTILINE)
STAGE = re.compile(r"^  ([a-z ]+?) +([\d,]+) rows +([\d.]+) s$", re.MULTILINE)
LOOK_EVERY_SECONDS = 0.5


def bench(runs: int) -> str:
    """Runs the night `runs` times, writes the medians into docs/benchmarks.md and returns what it wrote.

    Seconds are wall time; memory is the largest sum of resident sizes of all processes of a run, seen twice a second.
    Raises ReelfeedError where a night fails.
    """
    laps: dict[str, list[float]] = {}
    stages: dict[str, list[float]] = {}
    rows: dict[str, str] = {}
    peaks = []
    for number in range(1, runs + 1):
        click.echo(f"run {number} of {runs} …")
        said, peak = _one_night()
        peaks.append(peak)
        for seconds, name in LAP.findall(said):
            laps.setdefault(name, []).append(float(seconds))
        for name, count, seconds in STAGE.findall(said):
            stages.setdefault(name, []).append(float(seconds))
            rows[name] = count
    text = _text(laps, stages, rows, peaks)
    document = DOCUMENT.read_text("utf-8")
    before, _, rest = document.partition(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", "utf-8")
    return text


def _one_night() -> tuple[str, int]:
    """Returns what one night in a home of its own printed, and its peak memory in bytes."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "reelfeed", "night", "--ds", str(NIGHT)]
        environment = {**os.environ, "REELFEED_HOME": home}
        process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        peak = [0]
        done = threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, peak, done))
        watcher.start()
        said, errors = process.communicate()
        done.set()
        watcher.join()
    if process.returncode:
        raise ReelfeedError(f"the night failed: {errors.strip().splitlines()[-1]}", next_step="reelfeed night --ds …")
    return said, peak[0]


def _watch(pid: int, peak: list[int], done: threading.Event) -> None:
    while not done.wait(LOOK_EVERY_SECONDS):
        total = 0
        try:
            for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
                total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
        peak[0] = max(peak[0], total)


def _text(laps: dict[str, list[float]], stages: dict[str, list[float]], rows: dict[str, str], peaks: list[int]) -> str:
    runs = len(peaks)
    lines = [f"`make bench`, {runs} run{'s' if runs > 1 else ''}, medians, {os.cpu_count()} cores.", ""]
    lines += ["| stretch of `make run` | s |", "|---|---|"]
    lines += [f"| {name} | {statistics.median(seconds):.0f} |" for name, seconds in laps.items()]
    lines += ["", f"Peak memory of all processes: {statistics.median(peaks) / 2**30:.1f} GiB.", ""]
    lines += ["| stage of the night | rows | s in its task, Spark's start excluded |", "|---|---|---|"]
    lines += [f"| {name} | {rows[name]} | {statistics.median(seconds):.1f} |" for name, seconds in stages.items()]
    return "\n".join(lines)
