"""Videos that nobody has been shown: sources that know what a video is about find who will watch them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pyspark.sql import functions as F
from worlds import EVE, FIRST

from core.lake import Lake
from core.settings import Settings
from core.tables.follows import TABLE as FOLLOWS
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.users import TABLE as USERS
from core.tables.videos import TABLE as VIDEOS
from models.attribution import means
from models.history import histories
from models.source import IMPRESSION_COLUMNS, VIDEO_COLUMNS, Known, all_sources

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ONE_IN = 5
"""Of so many videos one is hidden: nothing that was ever shown of it is learned from."""


@pytest.mark.parametrize("name", ["content_neighbours", "two_tower"])
def test_among_hidden_videos_those_watched_for_long_stand_above_chance(
    name: str, trained: Settings, spark: SparkSession
) -> None:
    lake = Lake(trained.lake)
    days = [FIRST + timedelta(days=i) for i in range((EVE - FIRST).days + 1)]
    impressions = lake.read(spark, IMPRESSIONS, days).cache()
    is_hidden = F.col("video_id") % ONE_IN == 0
    known = Known(
        impressions.where(~is_hidden).select(*IMPRESSION_COLUMNS),
        lake.read(spark, VIDEOS, [EVE]).select(*VIDEO_COLUMNS),
        lake.read(spark, USERS, [EVE]).select("user_id", "activity"),
        lake.read(spark, FOLLOWS, [EVE]).select("user_id", "author_id"),
        EVE,
        seed=3,
    )
    watched = impressions.where(is_hidden & F.col("is_long_view")).select("user_id", "video_id").distinct().collect()
    asking = histories(known.impressions, known.users)
    source = all_sources()[name]
    listed = {row["user_id"]: row["videos"] for row in source.propose(source.fit(known), asking, 10_000).collect()}
    hidden = {user: [video for video in videos if video % ONE_IN == 0] for user, videos in listed.items()}
    places: dict[int, list[float]] = {}
    for user, video in watched:
        if video in hidden.get(user, []):
            places.setdefault(user, []).append(hidden[user].index(video) / (len(hidden[user]) - 1))
    assert len(places) > 100, "too few to tell"
    found = means({"place": np.asarray([np.mean(one) for one in places.values()])}, seed=1)["place"]
    assert found.high is not None
    assert found.high < 0.48, f"mean place among hidden videos {found}, chance is .5"
