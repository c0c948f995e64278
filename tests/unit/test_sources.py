"""What each source of models/sources/ proposes and why, on worlds small enough to see through."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from models.history import histories
from models.source import Known, all_sources
from models.sources import linear_autoencoder
from models.sources.linear_autoencoder import autoencoder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DS = date(2026, 1, 10)
OLD, TODAY = date(2025, 12, 1), DS
Shown = tuple[int, int, int, bool]
"""User, video, day of January, whether it was a long view."""


def known(
    spark: SparkSession,
    videos: dict[int, tuple[int, int, date | None]],
    shown: list[Shown],
    follows: list[tuple[int, int]] = [],  # noqa: B006 -- never changed
    activity: dict[int, str] | None = None,
) -> Known:
    """What sources may know; `videos` are author, tag and day of upload by video."""
    rows = [
        (user, video, videos[video][0], datetime(2026, 1, day, 12, i % 60, tzinfo=UTC), date(2026, 1, day), long_view)
        for i, (user, video, day, long_view) in enumerate(shown)
    ]
    impressions = spark.createDataFrame(
        [(*row, False, False, False) for row in rows],
        "user_id bigint, video_id bigint, author_id bigint, shown_at timestamp, shown_on date, is_long_view boolean, "
        "is_like boolean, is_follow boolean, is_not_interested boolean",
    )
    about = [(video, author, tag, [tag], 20_000, day, None) for video, (author, tag, day) in videos.items()]
    ddl = "video_id bigint, author_id bigint, tag_id int, tags array<int>, duration_ms bigint, uploaded_on date"
    users = activity or {user: "all" for user, *_ in shown}
    return Known(
        impressions,
        spark.createDataFrame(about, f"{ddl}, music_id bigint"),
        spark.createDataFrame(sorted(users.items()), "user_id bigint, activity string"),
        spark.createDataFrame(follows, "user_id bigint, author_id bigint"),
        DS,
        seed=1,
    )


def proposed(name: str, known: Known, users: list[int], quota: int = 10) -> dict[int, list[int]]:
    source = all_sources()[name]
    spark = known.impressions.sparkSession
    asking = histories(known.impressions, spark.createDataFrame([(user,) for user in users], "user_id bigint"))
    return {row["user_id"]: row["videos"] for row in source.propose(source.fit(known), asking, quota).collect()}


def test_following_proposes_the_newest_of_the_followed_first(spark: SparkSession) -> None:
    videos = {1: (7, 0, OLD), 2: (7, 0, TODAY), 3: (8, 0, date(2026, 1, 8)), 4: (9, 0, TODAY), 5: (8, 0, None)}
    world = known(spark, videos, [(1, 2, 10, True)], follows=[(1, 7), (1, 8), (2, 7), (3, 5)])
    found = proposed("following", world, [1, 2, 3, 4])
    assert found[1][0] == 3, "2 is seen, so the next newest"
    assert set(found[1]) == {1, 3, 5}
    assert found[2] == [2, 1]
    assert found.keys() == {1, 2}, "3 follows an author without videos, 4 no one"


def test_following_has_nothing_where_no_one_follows_anyone(spark: SparkSession) -> None:
    world = known(spark, {1: (7, 0, OLD)}, [(1, 1, 10, True)])
    assert all_sources()["following"].fit(world).isEmpty()
    assert proposed("following", world, [1]) == {}


def test_author_affinity_prefers_the_author_watched_most_and_there_the_best_received(spark: SparkSession) -> None:
    videos = {v: (v // 10, 0, OLD) for v in (10, 11, 12, 20, 21, 22)}
    mine = [(1, 10, 5, True), (1, 20, 5, True), (1, 21, 6, False)]
    others = [(user, 12, 7, True) for user in range(10, 40)] + [(user, 11, 7, False) for user in range(10, 40)]
    found = proposed("author_affinity", known(spark, videos, mine + others), [1])
    assert found[1] == [12, 22, 11], "author 1 before 2; in both the better received before the worse"


def test_trending_serves_a_segment_its_own_taste_once_it_is_large_enough(spark: SparkSession) -> None:
    videos = {1: (1, 0, OLD), 2: (1, 0, OLD), 3: (1, 0, OLD)}
    segments = {**dict.fromkeys(range(10, 40), "night owls"), **dict.fromkeys(range(50, 150), "others"), 200: "empty"}
    shown = [(user, 1, 10, True) for user in range(50, 150)] + [(user, 2, 10, True) for user in range(10, 40)]
    world = known(spark, videos, shown, activity=segments)
    assert proposed("trending", world, [10, 50, 200, 999]) == {10: [1, 3], 50: [2, 3], 200: [1, 2, 3], 999: [1, 2, 3]}
    from models.sources import trending

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trending, "STRENGTH", 1.0)
        world = known(spark, videos, [*shown, (11, 3, 10, True)], activity=segments)
        assert proposed("trending", world, [12])[12] == [3, 1], "one night owl outweighs everyone else"


def test_content_neighbours_finds_what_nobody_has_seen(spark: SparkSession) -> None:
    videos = {v: (v % 5, v % 2, OLD) for v in range(20)} | {30: (1, 0, TODAY), 31: (1, 1, TODAY)}
    shown = [(1, v, 5, v % 2 == 0) for v in range(12)] + [(2, v, 5, v % 2 == 1) for v in range(10)]
    found = proposed("content_neighbours", known(spark, videos, shown), [1, 2, 999], quota=20)
    assert found[1].index(30) < found[1].index(31)
    assert found[2].index(31) < found[2].index(30)
    assert 999 in found


def test_fresh_deals_new_videos_out_evenly(spark: SparkSession) -> None:
    videos = dict.fromkeys(range(5), (1, 0, OLD)) | dict.fromkeys(range(10, 20), (1, 0, TODAY))
    shown = [(user, 10, 10, False) for user in range(1000, 1100)] + [(1, 0, 10, True)]
    found = proposed("fresh", known(spark, videos, shown), list(range(400)), quota=3)
    assert all(len(set(one)) == 3 for one in found.values())
    first = Counter(one[0] for one in found.values())
    assert first.keys() == set(range(11, 20)), "10 had its share of showings, old videos have no claim"
    assert min(first.values()) > 400 / 9 / 2


def test_the_autoencoder_solves_its_normal_equations() -> None:
    matrix = np.random.default_rng(0).integers(0, 2, (30, 8)).astype(float)
    weights = autoencoder(matrix.T @ matrix, ridge=5.0)
    assert np.diag(weights) == pytest.approx(np.zeros(8))
    # The best weights of video j alone: least squares on the other videos with the same ridge.
    others = np.arange(8) != 3
    alone = np.linalg.solve(
        matrix[:, others].T @ matrix[:, others] + 5.0 * np.eye(7), matrix[:, others].T @ matrix[:, 3]
    )
    assert weights[others, 3] == pytest.approx(alone)


def test_the_autoencoder_steps_aside_where_the_pool_is_too_large(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(linear_autoencoder, "MOST_VIDEOS", 2)
    world = known(spark, dict.fromkeys(range(3), (1, 0, OLD)), [(1, v, 10, True) for v in range(3)])
    with caplog.at_level("WARNING", logger="reelfeed"):
        assert all_sources()["linear_autoencoder"].fit(world).isEmpty()
    assert "steps aside: 3 videos" in caplog.text


@pytest.mark.parametrize("name", all_sources())
def test_where_no_one_was_ever_shown_anything_no_source_fails(name: str, spark: SparkSession) -> None:
    world = known(spark, {1: (1, 0, OLD), 2: (1, 0, TODAY)}, [], activity={1: "all"})
    assert all(videos for videos in proposed(name, world, [1]).values())


@pytest.mark.parametrize("name", all_sources())
def test_who_has_seen_everything_is_proposed_nothing(name: str, spark: SparkSession) -> None:
    videos = {v: (v % 3, v % 2, TODAY) for v in range(6)}
    shown = [(1, v, 10, v % 2 == 0) for v in videos] + [(2, v, 9, True) for v in (0, 1, 2)]
    found = proposed(name, known(spark, videos, shown, follows=[(1, 0), (2, 0)]), [1, 2])
    assert 1 not in found
