"""What candidate sources say of a pair: of the past alone, nothing of strangers, more of what goes together."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from written_tables import write

from core.lake import Lake
from core.recipe import load_recipe
from core.run import Request
from core.settings import Settings
from core.tables.follows import TABLE as FOLLOWS
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.users import TABLE as USERS
from core.tables.videos import TABLE as VIDEOS
from reelfeed import source_scores as scores_module
from reelfeed.source_scores import source_scores

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FIRST = date(2026, 1, 5)
ALIKE, ODD = (0, 1, 2), (3, 4, 5)
"""Videos that even users watch, and that uneven ones do."""
USER, STRANGER, LEFT_OUT, NOBODY_S = 0, 99, 2, 50
"""Of the first day USER has met ALIKE but LEFT_OUT; nobody has met NOBODY_S, and STRANGER nothing."""


def arrive(lake: Lake, day: date, groups: dict[int, tuple[int, ...]]) -> None:
    """A day on which users of even and of uneven number watch the videos of their group for long."""
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    rows = [
        {"user_id": user, "video_id": video, "author_id": video, "shown_on": day, "is_long_view": True}
        | {"shown_at": at + timedelta(minutes=video), "surface": 1, "duration_ms": 9_000, "watch_ms": 9_000}
        for user in range(20)
        for video in groups[user % 2]
        if (user, video) != (USER, LEFT_OUT)
    ]
    write(lake, IMPRESSIONS, day, rows)
    about = {"is_visible": True, "is_advert": False, "duration_ms": 9_000, "uploaded_on": FIRST}
    write(lake, VIDEOS, day, [about | {"video_id": n, "author_id": n} for n in (*ALIKE, *ODD, NOBODY_S)])
    write(lake, USERS, day, [{"user_id": n, "activity": "low_active"} for n in (*range(20), STRANGER)])
    write(lake, FOLLOWS, day, [])


def test_pairs_are_scored_by_models_of_their_own_day(
    lake: Lake, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scores_module, "SOURCES", {"co_watched": "recent"})
    arrive(lake, FIRST, {0: ALIKE, 1: ODD})
    user = np.array([USER, USER, STRANGER, USER, USER])
    video = np.array([LEFT_OUT, ODD[0], ALIKE[0], NOBODY_S, LEFT_OUT])
    on_first = (FIRST - date(1970, 1, 1)).days
    snapshot = np.array([on_first] * 4 + [on_first - 1])

    def scored(last: date) -> dict[str, np.ndarray]:
        request = Request(last, FIRST, load_recipe("for_you"), "simulated", "")
        return source_scores(settings, request, snapshot, user, video)

    before = scored(FIRST)["co_watched"]
    assert before[0] > before[1], "what goes with what the user has met, beside what does not"
    assert np.isnan(before[2]), "it links from what a user has met"
    assert np.isnan(before[3:]).all(), "a video that nobody met, and a day on which nothing had arrived"
    # All turns round on the day after: what had arrived by the first day stays.
    arrive(lake, FIRST + timedelta(days=1), {0: ODD, 1: ALIKE})
    after = scored(FIRST + timedelta(days=1))["co_watched"]
    assert np.array_equal(after, before, equal_nan=True)


def test_a_user_without_a_vector_is_anyone(spark: SparkSession) -> None:
    rows = [("user", 1, [2.0, 0.0]), ("video", 7, [3.0, 5.0]), ("anyone", 0, [0.0, 1.0])]
    made = spark.createDataFrame(rows, "part string, entity_id long, embedding array<float>")
    found = scores_module._embedded(made, np.array([1, 2, 1]), np.array([7, 7, 8]))
    assert found[:2].tolist() == [6.0, 5.0]
    assert np.isnan(found[2]), "of a video without one nothing is known"
