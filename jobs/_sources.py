"""What fitting and asking candidate sources takes, the same for tonight's feeds and for a look back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING

from core.job import JobContext, log
from core.tables.follows import TABLE as FOLLOWS
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.users import TABLE as USERS
from core.tables.videos import SHOWABLE
from core.tables.videos import TABLE as VIDEOS
from models.history import DAYS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from models.source import Known

TABLES = (IMPRESSIONS, USERS, VIDEOS, FOLLOWS)

FITTED, NOTHING, FAILED = "fitted", "nothing", "failed"


def known_on(ctx: JobContext, ds: date) -> Known:
    """Returns what sources may learn from, as of the end of `ds`, a day that all of TABLES have; cached."""
    from models.source import IMPRESSION_COLUMNS, VIDEO_COLUMNS, Known

    first = ds - timedelta(days=DAYS - 1)
    days = [day for day in ctx.days_of(IMPRESSIONS) if first <= day <= ds]
    impressions = ctx.read(IMPRESSIONS, days).select(*IMPRESSION_COLUMNS)
    videos = ctx.read(VIDEOS, [ds]).where(SHOWABLE).select(*VIDEO_COLUMNS)
    users = ctx.read(USERS, [ds]).select("user_id", "activity")
    follows = ctx.read(FOLLOWS, [ds]).select("user_id", "author_id")
    return Known(impressions.cache(), videos.cache(), users.cache(), follows.cache(), ds, ctx.settings.seed)


def fit_all(known: Known, names: Iterable[str]) -> tuple[dict[str, DataFrame], dict[str, tuple[str, int, str]]]:
    """Returns the models of the sources `names`, and of every source its state, number of rows, and what went wrong.

    One that fails leaves its traceback in the log and the night to the others.
    """
    from models.source import all_sources

    models: dict[str, DataFrame] = {}
    states: dict[str, tuple[str, int, str]] = {}
    for name in names:
        log.info("fitting source %s", name)
        try:
            # Computed here, so that a fault of this source is met here and not when all are published.
            model = all_sources()[name].fit(known).localCheckpoint()
            rows = model.count()
        except Exception as error:
            log.exception("source %s failed: the night goes on without it", name)
            states[name] = (FAILED, 0, _first_line(error))
            continue
        if rows:
            models[name] = model
        states[name] = (FITTED if rows else NOTHING, rows, "")
    return models, states


def ask_all(models: Mapping[str, DataFrame], histories: DataFrame, quotas: Mapping[str, int]) -> dict[str, DataFrame]:
    """Returns what each of `models` proposes to the users of `histories`, by source."""
    from models.source import all_sources

    return {
        name: all_sources()[name].propose(models[name], histories, quota)
        for name, quota in sorted(quotas.items())
        if name in models
    }


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
