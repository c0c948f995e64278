"""A small simulated world for end-to-end tests: 160 users, 300 videos, nine days."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from core.recipe import load_recipe
from core.run import Request
from sim.logs import write_days
from sim.world import WorldConfig

FIRST = date(2026, 1, 1)
EVE, NIGHT = FIRST + timedelta(days=8), FIRST + timedelta(days=9)

HISTORY = ("ingest_events", "build_features")
TRAINING = ("build_training_set", "train_ranker", "evaluate", "promote")
NIGHTLY = (
    "ingest_events",
    "build_features",
    "fit_sources",
    "propose_candidates",
    "score_candidates",
    "build_feed",
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
