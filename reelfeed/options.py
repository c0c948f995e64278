"""Options that several commands share, and the request that they make."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import click

from core.errors import UsageError
from core.recipe import Recipe, load_recipe
from core.run import Request
from core.settings import Settings

LOGS = ("simulated", "kuairand")
BENCHES = ("night", "features", "search", "scoring", "rerank", "metrics", "training", "export", "rollback", "feeds")
"""The parts of `reelfeed bench`, each a file reelfeed/bench_*.py or a night of reelfeed/bench.py."""


class _Day(click.ParamType[date]):
    name = "YYYY-MM-DD"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            return datetime.strptime(str(value), "%Y-%m-%d").date()  # noqa: DTZ007 (a calendar day has no zone)
        except ValueError:
            self.fail(f"{value!r} is not a day like 2026-01-14", param, ctx)


DAY = _Day()
ds_option = click.option("--ds", type=DAY, required=True, help="The day whose logs are processed.")
recipe_option = click.option("--recipe", default="for_you", show_default=True, help="A recipe of conf/feeds/.")
logs_option = click.option("--logs", type=click.Choice(LOGS), default="simulated", show_default=True)
logs_dir_option = click.option("--logs-dir", default="", help="Folder of raw logs; default: the simulated world's own.")


def logs_folder(settings: Settings, logs: str, logs_dir: str) -> str:
    """Returns the folder of raw logs: the one given, else the simulated world's below the home.

    Raises UsageError where real logs are asked for without a folder.
    """
    if logs_dir:
        # Jobs run from the repository, whatever folder the caller stands in.
        return str(Path(logs_dir).absolute())
    if logs == "simulated":
        return str(settings.home_path / "logs" / "simulated")
    raise UsageError(f"--logs {logs} needs a folder", next_step="add --logs-dir FOLDER (make: LOGS_DIR=FOLDER)")


def recipe_of(name: str) -> Recipe:
    """Returns the recipe whose work is about to begin; raises UsageError where its file or its weights are wrong."""
    from models.value import check_value

    recipe = load_recipe(name)
    check_value(recipe)
    return recipe


def request_of(settings: Settings, ds: date, first: date, recipe: str, logs: str, logs_dir: str) -> Request:
    """Returns the request of the options ds, from, recipe, logs and logs-dir; raises UsageError where one is wrong."""
    return Request(ds, first, recipe_of(recipe), logs, logs_folder(settings, logs, logs_dir))
