"""A small simulated world for end-to-end tests: 160 users, 300 videos, nine days."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from core.lake import Lake
from core.recipe import load_recipe
from core.run import Request
from core.settings import Settings, load_settings, with_home
from jobs._registry import all_jobs
from sim.logs import write_days
from sim.world import WorldConfig

FIRST = date(2026, 1, 1)
EVE, NIGHT = FIRST + timedelta(days=8), FIRST + timedelta(days=9)

NIGHTLY = (
    "ingest_events",
    "build_features",
    "fit_machine",
    "fit_sources",
    "export_index",
    "propose_candidates",
    "score_candidates",
    "build_feed",
    "publish_feeds",
    "export_feeds",
    "write_report",
)

CONFIG = WorldConfig(
    seed=7, first_day=FIRST, users=160, videos=300, authors=50, tags=8, impressions_per_user_day=20, broken_share=0.002
)


def make_logs(folder: Path) -> Path:
    """Writes the world's logs of all days to NIGHT into `folder`."""
    write_days(CONFIG, str(folder), [FIRST + timedelta(days=i) for i in range((NIGHT - FIRST).days + 1)])
    return folder


def request(logs: Path, first: date, last: date) -> Request:
    return Request(last, first, load_recipe("for_you"), "simulated", str(logs))


def small(home: Path) -> Settings:
    """The local profile with a home of its own and few partitions."""
    local = load_settings("local")
    return with_home(replace(local, spark=replace(local.spark, shuffle_partitions=2)), home)


def as_it_was_before_the_night(trained: Settings, home: Path) -> Settings:
    """A copy of the installation with every table back at its last version that knew nothing of the night."""
    shutil.copytree(trained.home_path, home / "home")
    settings = with_home(trained, home / "home")
    lake = Lake(settings.lake)
    for job in map(all_jobs().get, NIGHTLY):
        for table in job.writes if job else ():
            older = [publish.version for publish in lake.history(table) if str(NIGHT) not in publish.days]
            if older:
                lake.restore(table, older[0])
            else:
                shutil.rmtree(lake.path(table))
    return settings
