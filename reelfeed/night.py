"""The whole thing once, as `make run` does it: logs, history, training, and tonight's feeds through Airflow."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import click

from core.errors import UsageError
from core.recipe import Recipe
from core.run import Request
from core.settings import ROOT, Settings
from jobs._registry import TRAINING

HISTORY_JOBS = ("ingest_events", "build_features", "fit_machine")


def make_world(settings: Settings, last: date, days: int, logs_dir: str) -> int:
    """Makes the simulated logs of the `days` days that end with `last`, those that are missing; returns their number.

    A world that lives in `logs_dir` already goes on; a new one begins with the first of these days.
    Raises UsageError where the world began after `last`.
    """
    from sim.logs import load_config, write_days
    from sim.world import WorldConfig

    first = last - timedelta(days=days - 1)
    if (Path(logs_dir) / "world.json").exists():
        config = load_config(logs_dir)
        first = max(first, min(config.first_day, last))
    else:
        config = WorldConfig(first_day=first, seed=settings.seed)
    wanted = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    with click.progressbar(length=len(wanted), label="the world lives") as bar:
        made = write_days(config, logs_dir, wanted, progress=lambda _: bar.update(1))
    return len(made)


def whole_night(settings: Settings, logs: str, logs_dir: str, ds: date | None, recipe: Recipe) -> None:
    """Runs everything for the night `ds` (default: the last day of the logs) and prints its report.

    The simulated world is made first where it is missing. All days before `ds` are history: loaded in one Spark
    session, which also trains; then Airflow runs nightly_feed for `ds`. Raises what any step raises.
    """
    from jobs.ingest_events import adapters
    from jobs.write_report import night_report
    from reelfeed.airflow_env import run_dag

    clock = _Clock()
    if logs == "simulated":
        if ds is None:
            raise UsageError("a simulated night needs its day", next_step="add --ds YYYY-MM-DD")
        make_world(settings, ds, settings.history_days, logs_dir)
        clock.lap("the world's logs")
    there = adapters()[logs].days(logs_dir)
    ds = ds or there[-1]
    history = [day for day in there if day < ds]
    if not history:
        raise UsageError(
            f"there is no history before {ds}",
            where=logs_dir,
            choices=[f"{there[0]} to {there[-1]}"],
            next_step="choose a later --ds",
        )
    _load(Request(history[-1], history[0], recipe, logs, logs_dir))
    clock.lap("history and training")
    conf = {"ds": str(ds), "recipe": recipe.name, "logs": logs, "logs_dir": logs_dir}
    run_dag("nightly_feed", conf, settings)
    clock.lap("tonight's nightly_feed, through Airflow")
    click.echo(night_report(settings, ds, recipe, None))
    click.echo(clock.text())


def _load(request: Request) -> None:
    """Runs the jobs of history and training in a process of their own, whose Spark ends before Airflow starts its own.

    Where they fail, so does this process, with their exit code: they have said why.
    """
    arguments = ["--from", str(request.first), "--ds", str(request.ds), "--recipe", request.recipe.name]
    arguments += ["--logs", request.logs, "--logs-dir", request.logs_dir]
    command = [sys.executable, "-m", "reelfeed", "run", *HISTORY_JOBS, *TRAINING, *arguments]
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


class _Clock:
    """Seconds of each stretch of the night, for its last lines."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()
        self._laps: list[str] = []

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self._laps.append(f"  {now - self._last:6.0f} s  {name}")
        self._last = now

    def text(self) -> str:
        return "\n".join(["", "Time", *self._laps, f"  {self._last - self._began:6.0f} s  in all"])
