"""Feature values of a tiny world, worked out by hand: every group of features/groups/, through the real engine.

The world has fewer than thirty of everything, so rates are shrunk with the strengths that the groups declare. Its log,
where "late" is a row that arrived two days after it happened:

     # | user | video | day    | arrived | watched      | came of it           | surface
     1 |    1 |    10 | Jan  1 | Jan  1  | 20 s of 20   | click, long, like    | 1
     2 |    2 |    20 | Jan  8 | Jan  8  |  1 s of ?    | (a skip)             | 1
     3 |    1 |    10 | Jan 11 | Jan 11  | 15 s of 20   | click                | 1
     4 |    1 |    11 | Jan 15 | Jan 15  |  2 s of 2    | click, long: no skip | 2
     5 |    2 |    10 | Jan 15 | Jan 15  |  2 s of 20   | not interested, skip | 1
  late |    2 |    10 | Jan 14 | Jan 16  | 20 s of 20   | click, long, like    | 1

User 1 follows author 100 from 15 January on, user 2 from the 16th. On the 17th six impressions are shown, of which four
are looked at. `night` is shown at 2 o'clock, ahead of the publish hour, and so sees the snapshot of the 15th:
rows 1 to 5. `fourth`, `untagged` and `new` see that of the 16th: the late row too, and nothing of the day itself.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from math import nan
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import functions as F

from core.lake import spark_schema
from core.tables.follows import TABLE as FOLLOWS
from core.tables.machine_factors import TABLE as MACHINE_FACTORS
from core.tables.users import TABLE as USERS
from core.tables.videos import TABLE as VIDEOS
from features.catalog import all_groups, fact_groups, feature_names, features_of
from features.point_in_time import UPLOAD_COLUMNS, Knowledge, snapshot_day, vectors
from features.session import with_session
from features.shrinkage import estimate, expected, shrunk
from features.tiles import derived, tiles, window_sums

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def january(day: int) -> date:
    return date(2026, 1, day)


BEFORE, AFTER, SHOWN = january(15), january(16), january(17)
NO, YES = False, True

CODE = "123456789"
"""Its CRC-32 is the check value that the algorithm is published with, CBF43926: 3,421,780,262, which is 490 mod 997."""

VIDEOS_THERE = [  # video, author, tag, tags, ms, uploaded, type, music
    (10, 100, 5, [5, 7], 20_000, january(1), CODE, 900),
    (20, 200, None, [], None, january(8), "unknown", None),
    (11, 100, 6, [6], 2_000, january(10), CODE, None),
    (12, 100, 6, [6], 30_000, january(16), CODE, None),
]
LOG = [  # user, video, day and time, arrived, ms watched, click, long view, like, not interested, surface
    (1, 10, (1, 12, 0, 0), 1, 20_000, YES, YES, YES, NO, 1),
    (2, 20, (8, 12, 0, 0), 8, 1_000, NO, NO, NO, NO, 1),
    (1, 10, (11, 12, 0, 0), 11, 15_000, YES, NO, NO, NO, 1),
    (1, 11, (15, 12, 0, 0), 15, 2_000, YES, YES, NO, NO, 2),
    (2, 10, (15, 12, 0, 0), 15, 2_000, NO, NO, NO, YES, 1),
    (2, 10, (14, 12, 0, 0), 16, 20_000, YES, YES, YES, NO, 1),
    # What is shown on the 17th:
    (2, 10, (17, 2, 0, 0), 17, 20_000, YES, YES, YES, NO, 1),
    (1, 20, (17, 10, 0, 0), 17, 1_000, NO, NO, NO, NO, 1),
    (1, 10, (17, 10, 1, 0), 17, 20_000, YES, YES, NO, NO, 1),
    (1, 11, (17, 10, 2, 0), 17, 1_000, NO, NO, NO, NO, 1),
    (1, 10, (17, 10, 3, 0), 17, 2_000, NO, NO, NO, NO, 1),
    (9, 12, (17, 11, 0, 0), 17, 2_000, NO, NO, NO, NO, 3),
]
NAMES = {(2, 2, 0): "night", (1, 10, 0): "untagged", (1, 10, 3): "fourth", (9, 11, 0): "new"}
"""The impressions looked at, by user, hour and minute."""

EXPECTED: dict[str, list[tuple[str, str, float]]] = {
    # The snapshots themselves, since its features are not in the vector: rows 1 to 5, then the late one too.
    "all_reception": [
        ("15 January", "long_view_rate_28d", 0.30476190),  # (2 + 100 * 0.3) / (5 + 100)
        ("15 January", "not_interested_rate_1d", 0.011764706),  # (1 + 100 * 0.002) / (2 + 100): rows 4, 5
        ("15 January", "click_rate_7d", 0.40776699),  # (2 + 100 * 0.4) / (3 + 100): rows 3, 4, 5
        # Thousandths 1000 + 750 + 1000 + 100; row 2, of unknown length, is no part: (2.85 + 100 * 0.4) / (4 + 100)
        ("15 January", "watched_share_28d", 0.41201923),
        # Days of age 14, 7, 4, 0, 0 weigh 16384, 32768, 44102, 65536 and 65536 in 65536ths, so n is 3.4229431:
        # (0.25 + 1 + 100 * 0.3) / (3.4229431 + 100)
        ("15 January", "long_view_rate_decayed", 0.30215733),
        ("16 January", "long_view_rate_28d", 0.31132075),  # (3 + 100 * 0.3) / (6 + 100)
        ("16 January", "long_view_rate_1d", 0.3),  # n = 0, and no parent: the base
        ("16 January", "showings_1d", 0.0),
    ],
    "author_reception": [
        ("night", "showings_7d", 1.3862944),  # ln(1 + 3): rows 3, 4, 5
        ("night", "long_view_rate_28d", 0.32773109),  # (2 + 30 * 0.30476190) / (4 + 30): rows 1, 3, 4, 5
        ("night", "not_interested_rate_7d", 0.040894381),  # (1 + 30 * (1 + 0.2) / 103) / (3 + 30)
        ("fourth", "showings_28d", 1.7917595),  # ln(1 + 5): the late row too
        # Author 200 was last shown on the 8th: n = 0 of the last 7 days, so as all: (2 + 100 * 0.3) / (4 + 100)
        ("untagged", "long_view_rate_7d", 0.30769231),
        ("untagged", "long_view_rate_28d", 0.30127815),  # (0 + 30 * 0.31132075) / (1 + 30): row 2
    ],
    "duration_reception": [  # 20 s: rows 1, 3, 5
        ("night", "skip_rate_28d", 0.30559408),  # (1 + 100 * (2 + 30) / 105) / (3 + 100)
        ("night", "watched_share_28d", 0.41797984),  # (1.85 + 100 * 0.41201923) / (3 + 100)
        ("new", "click_rate_28d", 0.41509434),  # n = 0 of 30 s, so as all: (4 + 100 * 0.4) / (6 + 100)
        ("untagged", "watched_share_28d", 0.41761905),  # length unknown, so as all: (3.85 + 40) / (5 + 100)
    ],
    "surface_reception": [  # surface 1 in 7 days: rows 3, 5
        ("night", "showings_7d", 1.0986123),  # ln(1 + 2)
        ("night", "long_view_rate_7d", 0.29506948),  # (0 + 100 * (1 + 30) / 103) / (2 + 100)
        ("new", "click_rate_7d", 0.41346154),  # n = 0 on surface 3, so as all: (3 + 100 * 0.4) / (4 + 100)
    ],
    "tag_reception": [  # tag 5: rows 1, 3, 5; tag 6: row 4
        ("night", "like_rate_28d", 0.037447989),  # (1 + 100 * (1 + 2) / 105) / (3 + 100)
        ("new", "long_view_rate_28d", 0.31813936),  # (1 + 100 * 0.31132075) / (1 + 100)
        ("untagged", "long_view_rate_28d", 0.31132075),  # no tag, so as all
        ("untagged", "showings_28d", 0.0),
    ],
    "user_activity": [
        ("night", "skip_rate_28d", 0.36796537),  # (2 + 20 * (2 + 30) / 105) / (2 + 20): rows 2, 5
        ("night", "click_rate_7d", 0.38834951),  # (0 + 20 * 0.40776699) / (1 + 20): row 5
        ("night", "watched_share_28d", 0.39716117),  # (0.1 + 20 * 0.41201923) / (1 + 20): row 5
        ("fourth", "showings_7d", 1.0986123),  # ln(1 + 2): rows 3, 4
        ("fourth", "long_view_rate_28d", 0.35767022),  # (2 + 20 * 0.31132075) / (3 + 20): rows 1, 3, 4
        ("new", "long_view_rate_28d", 0.31132075),  # n = 0, so as all
        ("new", "showings_28d", 0.0),
    ],
    "user_author_affinity": [
        ("night", "skip_rate_28d", 0.42542306),  # (1 + 10 * 0.36796537) / (1 + 10): row 5
        ("fourth", "long_view_rate_28d", 0.42897709),  # (2 + 10 * 0.35767022) / (3 + 10): rows 1, 3, 4
        ("fourth", "showings_28d", 1.3862944),  # ln(1 + 3)
        ("untagged", "long_view_rate_28d", 0.35767022),  # n = 0 of user 1 and author 200, so as user 1
        ("new", "long_view_rate_28d", 0.31132075),  # n = 0 and the user's n = 0, so as all
    ],
    "user_tag_affinity": [
        ("night", "watched_share_28d", 0.37014652),  # (0.1 + 10 * 0.39716117) / (1 + 10): row 5
        ("fourth", "long_view_rate_28d", 0.38139185),  # (1 + 10 * 0.35767022) / (2 + 10): rows 1, 3
        ("fourth", "showings_28d", 1.0986123),  # ln(1 + 2)
        ("untagged", "long_view_rate_28d", 0.35767022),  # no tag, so as user 1
    ],
    "video_reception": [
        ("night", "showings_1d", 0.69314718),  # ln(1 + 1): row 5
        ("night", "showings_28d", 1.3862944),  # ln(1 + 3): rows 1, 3, 5, and not yet the late one
        ("night", "not_interested_rate_1d", 0.043643264),  # (1 + 30 * 0.011764706) / (1 + 30)
        ("night", "showings_decayed", 1.0725910),  # ln(1 + 0.25 + 44102 / 65536 + 1)
        ("night", "long_view_rate_decayed", 0.29178763),  # (0.25 + 30 * 0.30215733) / (1.9229431 + 30)
        ("fourth", "showings_28d", 1.6094379),  # ln(1 + 4): the late row has arrived
        ("fourth", "long_view_rate_28d", 0.33351831),  # (2 + 30 * 0.31132075) / (4 + 30)
        ("fourth", "long_view_rate_7d", 0.31002331),  # (1 + 30 * (2 + 30) / 104) / (3 + 30): rows 3, 5, late
        ("fourth", "watched_share_28d", 0.45231092),  # (1 + 0.75 + 0.1 + 1 + 30 * 0.41761905) / (4 + 30)
        ("fourth", "long_view_rate_1d", 0.3),  # n = 0 on the 16th, so as all, whose n is 0 too: the base
        ("new", "long_view_rate_28d", 0.31132075),  # never shown, so as all
    ],
    "follower_reception": [  # of video 10 the late row alone: user 2 followed when it arrived, not when it happened
        ("night", "showings_28d", 0.0),
        ("night", "long_view_rate_28d", 0.30735931),  # n = 0, so as the video: (1 + 30 * 0.30476190) / (3 + 30)
        ("fourth", "showings_28d", 0.69314718),  # ln(1 + 1)
        # (1 + 30 * p) / (1 + 30) with p = (2 + 30 * (2 + 2) / 106) / (4 + 30), the video's like rate
        ("fourth", "like_rate_28d", 0.12140632),
    ],
    "follower_author_reception": [  # of author 100: row 4 by user 1 since the 15th, then the late one by user 2
        ("night", "showings_28d", 0.69314718),  # ln(1 + 1): row 4
        ("night", "long_view_rate_28d", 0.34941718),  # (1 + 30 * 0.32773109) / (1 + 30)
        ("fourth", "showings_28d", 1.0986123),  # ln(1 + 2)
        # (2 + 30 * p) / (2 + 30) with p = (3 + 30 * 0.31132075) / (5 + 30), the author's rate
        ("fourth", "long_view_rate_28d", 0.39302560),
        ("untagged", "long_view_rate_28d", 0.30127815),  # n = 0 of author 200, so as the author
    ],
    "content": [
        ("fourth", "duration", 20.0),
        ("fourth", "tags", 2.0),
        ("fourth", "has_music", 1.0),
        ("fourth", "upload_type", 490.0),
        ("untagged", "duration", nan),
        ("untagged", "tags", 0.0),
        ("new", "has_music", 0.0),
    ],
    "freshness": [  # at the showing on the 17th, although table videos is read as of other days
        ("night", "age", 16.0),  # uploaded on the 1st
        ("night", "is_new", 0.0),
        ("new", "age", 1.0),  # uploaded on the 16th
        ("new", "is_new", 1.0),
        ("night", "velocity", -0.40546511),  # ln((1 + 1) / (1 + 2)): row 5; rows 3, 5
        ("fourth", "velocity", -1.3862944),  # ln((1 + 0) / (1 + 3)): none; rows 3, 5, late
        ("new", "velocity", 0.0),
        ("night", "since_author_post", 7.0),  # as the 15th knew: video 11, of the 10th
        ("fourth", "since_author_post", 1.0),  # as the 16th knew: video 12, of the 16th
        ("night", "author_videos", 1.0986123),  # ln(1 + 2)
        ("fourth", "author_videos", 1.3862944),  # ln(1 + 3)
    ],
    "session": [
        ("fourth", "position", 4.0),
        ("fourth", "pause", 60.0),  # 10:03:00 - 10:02:00
        ("fourth", "break", 165_600.0),  # 46 h: from noon of the 15th to 10 o'clock of the 17th
        ("fourth", "same_tag", 1.0),  # of the three before it, one is of tag 5
        ("fourth", "skips", 2.0),  # 1 s, and 1 s of a video of 2 s
        ("fourth", "long_views", 1.0),
        ("night", "position", 1.0),
        ("night", "pause", nan),
        ("night", "break", 136_800.0),  # 38 h: from noon of the 15th to 2 o'clock of the 17th
        ("new", "break", nan),
        ("new", "skips", 0.0),
    ],
    "machine": [
        # Of the 15th: 0.1 - 0.4 + 0.3, and of (1, 0, 2, 0) + (0.5, 1, 0, 0) + (0, 0, 1, 0) the square 12.25, less
        # their own 5 + 2 + 1 (video 10 stands for itself and its author, whose squares are not its vector's), halved.
        ("night", "long_view_log_odds", 2.125),
        ("fourth", "long_view_log_odds", 0.25),  # of the 16th, which knows neither user 1 nor video 10: the surface's
        ("untagged", "long_view_log_odds", 0.75),  # and video 20: 0.25 + 0.5
        ("new", "long_view_log_odds", nan),  # nothing is known of surface 3
    ],
    "social": [
        ("night", "follows_author", 0.0),  # user 2 follows author 100 from the 16th on
        ("night", "author_followers", 0.69314718),  # ln(1 + 1)
        ("fourth", "follows_author", 1.0),
        ("fourth", "author_followers", 1.0986123),  # ln(1 + 2)
        ("untagged", "author_followers", 0.0),
    ],
    "surface": [("night", "code", 1.0), ("new", "code", 3.0)],
    "user_profile": [
        ("fourth", "account_age", 41.0),  # on the 16th; registered 40 days before the 15th
        ("fourth", "following", 1.3862944),  # ln(1 + 3)
        ("fourth", "followers", 0.0),  # ln(1 + 0)
        ("fourth", "activity", 490.0),
        ("night", "account_age", nan),  # user 2's is unknown
        ("new", "activity", nan),  # user 9 is in no snapshot
    ],
}


FACTORS = [  # part, its number, bias, vector, square, day
    ("user", 2, 0.1, [1.0, 0.0, 2.0, 0.0], 5.0, BEFORE),
    ("video", 10, -0.4, [0.5, 1.0, 0.0, 0.0], 2.0, BEFORE),
    ("surface", 1, 0.3, [0.0, 0.0, 1.0, 0.0], 1.0, BEFORE),
    ("video", 20, 0.5, [1.0, 0.0, 0.0, 0.0], 1.0, AFTER),
    ("surface", 1, 0.25, [0.0, 0.0, 0.0, 0.0], 0.0, AFTER),
]


def daily(spark: SparkSession, rows: list[tuple[Any, ...]], days: list[date], table: Any) -> DataFrame:
    """One copy of `rows`, which lack `ds`, for each of `days`."""
    return spark.createDataFrame([(*row, day) for day in days for row in rows], spark_schema(table))


def logged(spark: SparkSession) -> DataFrame:
    about = {video[0]: video for video in VIDEOS_THERE}
    rows = []
    for user, video, (day, hour, minute, second), arrived, *rest in LOG:
        at = datetime(2026, 1, day, hour, minute, second, tzinfo=UTC)
        _, author, tag, _, length, *_ = about[video]
        rows.append((user, video, at, at.date(), hour, january(arrived), author, tag, length, *rest))
    ddl = (
        "user_id bigint, video_id bigint, shown_at timestamp, shown_on date, shown_hour int, ds date, "
        "author_id bigint, tag_id int, duration_ms bigint, watch_ms bigint, is_click boolean, is_long_view boolean, "
        "is_like boolean, is_not_interested boolean, surface int"
    )
    return spark.createDataFrame(rows, ddl)


@pytest.fixture(scope="module")
def values(spark: SparkSession) -> dict[tuple[str, str], float]:
    """Every value by the name of its row and feature; of all_reception by its day instead."""
    follows = daily(spark, [(1, 100)], [BEFORE], FOLLOWS).union(daily(spark, [(1, 100), (2, 100)], [AFTER], FOLLOWS))
    videos = [
        daily(spark, [(*video, True, False) for video in VIDEOS_THERE if video[5] <= day], [day], VIDEOS)
        for day in (BEFORE, AFTER, SHOWN)
    ]
    users = [
        daily(spark, [(1, 40 + day.day - 15, CODE, 3, 0), (2, None, "unknown", None, None)], [day], USERS)
        for day in (BEFORE, AFTER)
    ]
    impressions = logged(spark)
    arrived = derived(impressions, follows).cache()
    snapshots: dict[str, DataFrame] = {}
    for group in all_groups().values():
        parent = all_groups()[group.parent] if group.parent else None
        summed = window_sums(tiles(arrived, group), group, [BEFORE, AFTER])
        sums = expected(summed, group, parent, snapshots.get(group.parent))
        # The job estimates strengths of pairs from a sample, which of so few may be empty.
        snapshots[group.name] = shrunk(sums, group, estimate(sums, group, [BEFORE, AFTER])).localCheckpoint()
    rows = with_session(impressions).where(F.col("shown_on") == F.lit(SHOWN))
    rows = rows.withColumn("snapshot_ds", snapshot_day(publish_hour=3))
    rows = rows.join(videos[-1].select("video_id", *UPLOAD_COLUMNS), on="video_id", how="left")
    # Narrowed to what the rows name, as large snapshots are: other tests do without.
    large = frozenset(snapshots)
    factors = spark.createDataFrame(FACTORS, spark_schema(MACHINE_FACTORS))
    known = Knowledge(snapshots, users[0].union(users[1]), videos[0].union(videos[1]), follows, large, factors)
    found = {}
    for row in vectors(rows.cache(), known).collect():
        key = (row["user_id"], row["shown_hour"], row["shown_at"].minute)
        if key in NAMES:
            found |= {(NAMES[key], name): value for name, value in zip(feature_names(), row["features"], strict=True)}
    for row in snapshots["all_reception"].collect():
        found |= {(f"{row['ds'].day} January", f"all_reception__{name}"): row[name] for name in row.asDict()}
    return found


@pytest.mark.parametrize("group", EXPECTED)
def test_values_are_those_worked_out_by_hand(group: str, values: dict[tuple[str, str], float]) -> None:
    found = {(row, name): values[row, f"{group}__{name}"] for row, name, _ in EXPECTED[group]}
    assert found == pytest.approx({(row, name): value for row, name, value in EXPECTED[group]}, rel=1e-6, nan_ok=True)


def test_every_group_has_at_least_two_features_worked_out() -> None:
    for name, group in (all_groups() | fact_groups()).items():
        tried = {feature for _, feature, _ in EXPECTED[name]}
        assert len(tried) >= min(2, len(features_of(group))), name


def test_a_late_row_counts_from_its_arrival_on(values: dict[tuple[str, str], float]) -> None:
    """It happened on the 14th: on the 15th it would have been in the window, had it arrived."""
    assert january(14) > BEFORE - timedelta(days=7)
    assert values["night", "video_reception__showings_7d"] == pytest.approx(1.0986123)  # ln(1 + 2): rows 3, 5
    assert values["fourth", "video_reception__showings_7d"] == pytest.approx(1.3862944)  # ln(1 + 3): and the late one
