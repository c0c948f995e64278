"""Feeds of three users, measured: every figure is the one that can be counted on one's fingers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from written_tables import write

from core.job import JobContext
from core.lake import Lake
from core.recipe import load_recipe
from core.settings import Settings
from core.tables.embeddings import TABLE as EMBEDDINGS
from core.tables.feed_metrics import TABLE as FEED_METRICS
from core.tables.feeds import TABLE as FEEDS
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.videos import TABLE as VIDEOS
from jobs.measure_feed import JOB

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = date(2026, 1, 9)
SHOWN = [{"user_id": user, "video_id": 9, "shown_at": datetime(2026, 1, 9, 12, tzinfo=UTC)} for user in (1, 2)]
VIDEO = [
    {"video_id": 10, "tags": [1], "uploaded_on": DAY, "is_visible": True},
    {"video_id": 11, "tags": [1], "uploaded_on": DAY - timedelta(days=2), "is_visible": True},
    {"video_id": 12, "tags": [2], "uploaded_on": DAY - timedelta(days=3), "is_visible": True},
    {"video_id": 13, "tags": [], "uploaded_on": None, "is_visible": True},
    {"video_id": 14, "tags": [3], "uploaded_on": DAY, "is_visible": False},
    {"video_id": 15, "tags": [3], "uploaded_on": DAY, "is_visible": True, "is_advert": True},
]
FEED = {1: (10, 11, 12), 2: (10, 13), 3: (11,)}
VECTORS = {10: [2.0, 0.0], 11: [0.0, 3.0], 12: [4.0, 0.0]}


@pytest.fixture
def measured(spark: SparkSession, settings: Settings, lake: Lake) -> dict[tuple[str, str], dict[str, Any]]:
    """The rows of table feed_metrics by metric and cohort: user 3 has no showing, and a feed of the popular tier."""
    feed = [
        {"user_id": user, "slot": slot, "video_id": video, "value": float(user), "recipe": recipe}
        | {"tier": "popular" if user == 3 else "personal"}
        for recipe, user, videos in [*(("for_you", *one) for one in FEED.items()), ("other", 1, (12, 13))]
        for slot, video in enumerate(videos, 1)
    ]
    vectors = [{"source": "als", "kind": "video", "entity_id": video, "embedding": v} for video, v in VECTORS.items()]
    users = [{"source": "als", "kind": "user", "entity_id": 10, "embedding": [9.0, 9.0]}]
    for table, rows in ((FEEDS, feed), (VIDEOS, VIDEO), (IMPRESSIONS, SHOWN), (EMBEDDINGS, vectors + users)):
        write(lake, table, DAY, rows)
    JOB.run(JobContext(JOB, (DAY,), settings, load_recipe("for_you"), "", "", lake))
    return {(row["metric"], row["cohort"]): row for row in lake.read_arrow(FEED_METRICS, [DAY]).to_pylist()}


def test_every_figure_is_the_one_made_by_hand(measured: dict[tuple[str, str], dict[str, Any]]) -> None:
    expected = {
        # Of four showable videos all are in a feed of this recipe; they get 2, 2, 1 and 1 of six slots.
        ("coverage", "all"): 1.0,
        ("exposure_gini", "all"): (-3 * 1 - 1 * 1 + 1 * 2 + 3 * 2) / (4 * 6),
        # User 1: one pair of three has the same tag. User 2 has one video with a tag, user 3 one video.
        ("diversity_tags", "all"): 2 / 3,
        ("diversity_als", "known"): 2 / 3,
        # Uploaded on the day, two and three days before; served a day later.
        ("age_days", "all"): ((1 + 3 + 4) / 3 + 1 + 3) / 3,
        ("new_videos", "known"): (2 / 3 + 1) / 2,
        ("value", "known"): 1.5,
        ("value", "new"): 3.0,
        ("tier_popular", "new"): 1.0,
        ("tier_popular", "known"): 0.0,
        ("tier_personal", "all"): 2 / 3,
        ("users", "new"): 1 / 3,
    }
    assert {key: measured[key]["value"] for key in expected} == pytest.approx(expected)
    assert ("diversity_tags", "new") not in measured
    assert measured["value", "known"]["users"] == 2
    assert measured["value", "all"]["low"] < 2 < measured["value", "all"]["high"]
