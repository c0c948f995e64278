"""KuaiRand logs in its official layout: what arrives, what is refused, and what is said about it."""

from __future__ import annotations

import os
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kuairand_files import RANDOM, STANDARD, beijing_ms, impression, release, user, video

from core.errors import ContractError, MissingDataError, UsageError
from core.tables.blocked_authors import TABLE as BLOCKED_AUTHORS
from core.tables.follows import TABLE as FOLLOWS
from core.tables.users import TABLE as USERS
from core.tables.videos import TABLE as VIDEOS
from jobs.adapters._logs import RAW_IMPRESSIONS
from jobs.adapters.kuairand import ADAPTER, RANDOM_POOL_VIDEOS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

APRIL_25, APRIL_26 = date(2022, 4, 25), date(2022, 4, 26)
SLICE = Path(
    os.environ.get("REELFEED_KUAIRAND_DIR", Path(__file__).parents[3] / "shared" / "data" / "kuairand-pure-slice")
)


def types(frame: DataFrame) -> list[tuple[str, str]]:
    return [(field.name, field.dataType.simpleString()) for field in frame.schema.fields]


def test_frames_have_the_columns_that_ingest_takes(spark: SparkSession, tmp_path: Path) -> None:
    logs = ADAPTER.read(spark, str(release(tmp_path, {STANDARD: [impression(1, 10)]})), [APRIL_25])
    assert types(logs.impressions) == [(column.name, column.type) for column in RAW_IMPRESSIONS]
    known = {USERS: logs.users, VIDEOS: logs.videos, FOLLOWS: logs.follows, BLOCKED_AUTHORS: logs.blocked_authors}
    for table, frame in known.items():
        assert types(frame) == [(column.name, column.type) for column in table.all_columns]
    assert logs.follows.isEmpty()
    assert logs.blocked_authors.isEmpty()


def test_an_impression_keeps_its_time_surface_and_reactions(spark: SparkSession, tmp_path: Path) -> None:
    # Logged under the 26th though shown at 23:40 of the 25th in Beijing: the release does so.
    shown = beijing_ms("2022-04-25 23:40")
    reacted = {"is_like": 1, "is_forward": 1, "is_profile_enter": 1, "is_hate": 1, "duration_ms": 0}
    rows = [impression(1, 10, "20220426", hourmin=0, time_ms=shown, tab=4, play_time_ms=25_000, **reacted)]
    got = ADAPTER.read(spark, str(release(tmp_path, {STANDARD: rows})), [APRIL_26]).impressions.collect()[0]
    assert (got.ds, got.shown_on, got.shown_hour) == (APRIL_26, APRIL_25, 23)
    assert got.shown_at == datetime(2022, 4, 25, 15, 40)  # noqa: DTZ001 - Spark hands out naive UTC
    assert (got.user_id, got.video_id, got.surface, got.watch_ms) == (1, 10, 4, 25_000)
    assert got.duration_ms is None
    assert got.position is None
    assert (got.is_click, got.is_long_view, got.is_like, got.is_share) == (True, True, True, True)
    assert (got.is_profile_visit, got.is_not_interested, got.is_follow, got.is_comment) == (True, True, False, False)
    assert (got.is_random, got.propensity, got.faults) == (False, None, [])


def test_a_day_is_replayed_by_the_hour_of_the_app_s_time_zone(spark: SparkSession, tmp_path: Path) -> None:
    # Noon in Beijing is four in the morning UTC; the second row is of the day before.
    rows = [impression(1, 10), impression(2, 10, time_ms=beijing_ms("2022-04-24 23:50"))]
    today = video(12, upload_dt="2022-04-25")
    folder = str(release(tmp_path, {STANDARD: rows}, videos=[video(10), video(11), today]))
    assert ADAPTER.read_until is not None
    noon, later = (ADAPTER.read_until(spark, folder, APRIL_25, hour) for hour in (12, 13))
    assert noon.impressions.isEmpty()
    assert [row.user_id for row in later.impressions.collect()] == [1]
    assert {row.video_id for row in later.videos.collect()} == {10, 11}, "nobody was shown what was uploaded today"


def test_random_rows_carry_the_uniform_propensity(spark: SparkSession, tmp_path: Path) -> None:
    folder = release(tmp_path, {STANDARD: [impression(1, 10)], RANDOM: [impression(2, 11, is_rand=1)]})
    rows = {row.user_id: row for row in ADAPTER.read(spark, str(folder), [APRIL_25]).impressions.collect()}
    assert (rows[1].is_random, rows[1].propensity) == (False, None)
    assert rows[2].is_random
    assert rows[2].propensity == pytest.approx(1 / RANDOM_POOL_VIDEOS)


def test_text_in_a_number_of_the_log_is_a_fault_of_that_row_alone(spark: SparkSession, tmp_path: Path) -> None:
    rows = [
        impression(1, 10),
        impression(2, "ten", time_ms="noon", is_click="yes", long_view=7, play_time_ms="", tab=10**12),
        impression(3, 10, time_ms=10**17),
    ]
    logs = ADAPTER.read(spark, str(release(tmp_path, {STANDARD: rows})), [APRIL_25])
    got = {row.user_id: row for row in logs.impressions.collect()}
    assert got[1].faults == []
    faults = ["video_id", "shown_at", "surface", "is_click", "is_long_view"]
    assert set(got[2].faults) == {f"{name}_not_a_number" for name in faults}
    # A blank is missing rather than unreadable: the table's own checks say so.
    assert [got[2][name] for name in (*faults, "watch_ms", "shown_on", "shown_hour")] == [None] * 8
    assert (got[3].shown_at, got[3].faults) == (None, ["shown_at_not_a_number"])


def test_no_row_of_the_log_gets_lost_whatever_it_holds(spark: SparkSession, tmp_path: Path) -> None:
    folder = release(
        tmp_path, {STANDARD: [impression(1, 10), impression(2, 10, "20220426"), impression(3, 10, "someday")]}
    )
    with (folder / "data" / f"{STANDARD}_pure.csv").open("a") as file:
        file.write("4,11,20220425,1200,1650859200000,1\n")
        file.write("5\n")
        file.write(",".join(["6"] * 25) + "\n")
    days = ADAPTER.days(str(folder))
    assert days == [APRIL_25, APRIL_26]
    both = ADAPTER.read(spark, str(folder), days).impressions.collect()
    one_by_one = [row for day in days for row in ADAPTER.read(spark, str(folder), [day]).impressions.collect()]
    assert sorted(both, key=str) == sorted(one_by_one, key=str)
    faults = {row.user_id: row.faults for row in both if row.faults}
    assert {row.user_id: row.ds for row in both} == dict.fromkeys((1, 3, 4, 5, 6), APRIL_25) | {2: APRIL_26}
    assert faults.keys() == {3, 4, 5, 6}
    assert faults[3] == ["ds_not_a_number"]


def test_duplicates_stay_for_ingest_to_count(spark: SparkSession, tmp_path: Path) -> None:
    folder = release(tmp_path, {STANDARD: [impression(1, 10)] * 3})
    assert ADAPTER.read(spark, str(folder), [APRIL_25]).impressions.count() == 3


def test_parts_of_a_split_log_are_all_read(spark: SparkSession, tmp_path: Path) -> None:
    parts = {
        f"{STANDARD}_part1": [impression(1, 10)],
        f"{STANDARD}_part2": [impression(2, 10), impression(3, 10, "20220501")],
        "log_standard_4_08_to_4_21_part1": [impression(4, 10, "20220409")],
    }
    folder = release(tmp_path, parts, version="27k")
    assert ADAPTER.days(str(folder)) == [date(2022, 4, 9), APRIL_25, date(2022, 5, 1)]
    assert {row.user_id for row in ADAPTER.read(spark, str(folder), [APRIL_25]).impressions.collect()} == {1, 2}


@pytest.mark.parametrize("inside", ["", "KuaiRand-Pure", "KuaiRand-Pure/data"])
def test_any_folder_of_the_release_will_do(tmp_path: Path, inside: str) -> None:
    folder = release(tmp_path, {STANDARD: [impression(1, 10)]})
    (folder / "load_data_pure.py").write_text("")
    (folder / "data" / "video_features_statistic_pure.csv").write_text("not,even,read")
    assert ADAPTER.days(str(tmp_path / inside)) == [APRIL_25]


def test_users_are_read_with_their_unknown_codes(spark: SparkSession, tmp_path: Path) -> None:
    users = [
        user(1, user_active_degree="High_Active"),
        user(2, user_active_degree="", register_days=-124, follow_user_num="", fans_user_num=-124),
        user(3, user_active_degree="UNKNOWN"),
    ]
    logs = ADAPTER.read(spark, str(release(tmp_path, {STANDARD: [impression(1, 10)]}, users)), [APRIL_25])
    got = {row.user_id: tuple(row)[1:-1] for row in logs.users.collect()}
    assert got == {1: (400, "high_active", 12, 3), 2: (None, "unknown", None, None), 3: (400, "unknown", 12, 3)}


def test_videos_are_read_with_their_gaps(spark: SparkSession, tmp_path: Path) -> None:
    videos = [
        video(10, video_duration="12345.6"),
        video(
            11, tag="", video_duration="", music_id="", upload_dt="", upload_type="", visible_status="", video_type=""
        ),
        video(12, tag="39", video_duration="0.0", visible_status="1.0", video_type="AD"),
    ]
    logs = ADAPTER.read(spark, str(release(tmp_path, {STANDARD: [impression(1, 10)]}, (), videos)), [APRIL_25])
    got = {row.video_id: tuple(row)[2:-1] for row in logs.videos.collect()}
    assert got[10] == (12, [12, 65], 12346, date(2022, 4, 10), "Web", 77, True, False)
    assert got[11] == (None, [], None, None, "unknown", None, True, False)
    assert got[12] == (39, [39], None, date(2022, 4, 10), "Web", 77, False, True)


def test_no_video_is_known_before_its_upload(spark: SparkSession, tmp_path: Path) -> None:
    logs = {STANDARD: [impression(1, 10), impression(1, 10, "20220426")]}
    videos = [video(10), video(11, upload_dt="2022-04-26"), video(12, upload_dt="2022-04-27")]
    read = ADAPTER.read(spark, str(release(tmp_path, logs, (), videos)), [APRIL_25, APRIL_26])
    assert {(row.ds, row.video_id) for row in read.videos.collect()} == {(APRIL_25, 10), (APRIL_26, 10), (APRIL_26, 11)}
    assert {(row.ds, row.user_id) for row in read.users.collect()} == {
        (d, u) for d in (APRIL_25, APRIL_26) for u in (1, 2)
    }


def test_every_absent_file_is_named_in_one_error(tmp_path: Path) -> None:
    folder = release(tmp_path, {})
    (folder / "data" / "user_features_pure.csv").unlink()
    with pytest.raises(MissingDataError) as caught:
        ADAPTER.days(str(folder))
    assert "log_*_pure.csv, user_features_pure.csv" in caught.value.what
    assert "video_features_basic" not in caught.value.what
    assert caught.value.where == str(folder / "data")


def test_an_empty_and_an_absent_folder_are_missing_data(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="user_features"):
        ADAPTER.days(str(tmp_path))
    with pytest.raises(MissingDataError, match="nowhere"):
        ADAPTER.days(str(tmp_path / "nowhere"))


def test_two_releases_in_one_place_are_a_question_back(tmp_path: Path) -> None:
    release(tmp_path, {STANDARD: [impression(1, 10)]})
    release(tmp_path, {STANDARD: [impression(1, 10)]}, version="1k")
    with pytest.raises(UsageError) as caught:
        ADAPTER.days(str(tmp_path))
    assert caught.value.choices == ("KuaiRand-1K", "KuaiRand-Pure")


def test_renamed_and_missing_columns_are_named_with_their_file(tmp_path: Path) -> None:
    folder = release(tmp_path, {STANDARD: [impression(1, 10)]})
    log, users = folder / "data" / f"{STANDARD}_pure.csv", folder / "data" / "user_features_pure.csv"
    log.write_text(log.read_text().replace("play_time_ms", "playing_time_ms"))
    users.write_text(users.read_text().replace(",register_days,", ",", 1))
    with pytest.raises(ContractError) as caught:
        ADAPTER.days(str(folder))
    assert f"{log.name}: column 'play_time_ms' is missing (is it 'playing_time_ms'?)" in caught.value.what
    assert f"{users.name}: column 'register_days' is missing" in caught.value.what


def test_reordered_columns_are_read_by_name(spark: SparkSession, tmp_path: Path) -> None:
    folder = release(tmp_path, {STANDARD: [impression(1, 10)], RANDOM: [impression(2, 11)]})
    log = folder / "data" / f"{STANDARD}_pure.csv"
    log.write_text("\n".join(",".join(line.split(",")[::-1]) for line in log.read_text().splitlines()))
    rows = ADAPTER.read(spark, str(folder), [APRIL_25]).impressions.collect()
    assert {(row.user_id, row.video_id, row.watch_ms) for row in rows} == {(1, 10, 20_000), (2, 11, 20_000)}


@pytest.mark.parametrize(
    ("users", "videos", "said"),
    [
        ([user(1), user(2, register_days="old")], (), "column 'register_days' holds 'old', not a whole number"),
        ((), [video(10, video_duration="long")], "column 'video_duration' holds 'long', not a number"),
        ((), [video(10), video(11, tag="3,dance")], "column 'tag' holds '3,dance', not a list of whole numbers"),
        ((), [video(10, upload_dt="2022-13-45")], "column 'upload_dt' holds '2022-13-45', not a date"),
    ],
)
def test_text_in_a_number_of_users_or_videos_stops_the_read(
    spark: SparkSession, tmp_path: Path, users: list[object], videos: list[object], said: str
) -> None:
    folder = release(tmp_path, {STANDARD: [impression(1, 10)]}, users, videos)  # type: ignore[arg-type]
    with pytest.raises(ContractError, match=said):
        ADAPTER.read(spark, str(folder), [APRIL_25])


def test_a_video_file_cut_off_in_a_line_stops_the_read(spark: SparkSession, tmp_path: Path) -> None:
    folder = release(tmp_path, {STANDARD: [impression(1, 10)]})
    videos = folder / "data" / "video_features_basic_pure.csv"
    videos.write_text(videos.read_text()[:-30])
    with pytest.raises(ContractError, match="Expected 12 columns"):
        ADAPTER.read(spark, str(folder), [APRIL_25])


def test_a_day_without_rows_is_told_with_the_days_there_are(spark: SparkSession, tmp_path: Path) -> None:
    folder = release(tmp_path, {STANDARD: [impression(1, 10), impression(1, 10, "20220428")]})
    with pytest.raises(MissingDataError) as caught:
        ADAPTER.read(spark, str(folder), [APRIL_25, APRIL_26])
    assert "2022-04-26" in caught.value.what
    assert "2022-04-25 to 2022-04-28" in caught.value.choices[0]


def test_a_log_without_rows_is_missing_data(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="no rows"):
        ADAPTER.days(str(release(tmp_path, {STANDARD: []})))


def test_the_real_slice_has_its_published_totals(spark: SparkSession) -> None:
    if not SLICE.is_dir():
        pytest.skip(f"no KuaiRand slice at {SLICE}: set REELFEED_KUAIRAND_DIR to run this test")
    from pyspark.sql import functions as F

    days = ADAPTER.days(str(SLICE))
    assert (days[0], days[-1], len(days)) == (APRIL_25, date(2022, 5, 4), 10)
    logs = ADAPTER.read(spark, str(SLICE), days)
    names = "click long_view like profile_visit comment follow not_interested share random".split()  # noqa: SIM905
    totals = logs.impressions.agg(
        F.count("*"), *[F.count_if(F.col(f"is_{name}")) for name in names], F.count_if(F.size("faults") > 0)
    ).collect()[0]
    assert tuple(totals) == (154_210, 68_467, 48_197, 2_647, 2_867, 392, 205, 131, 130, 0, 0)
    for frame, each in ((logs.users, 24_557), (logs.videos, 7_583)):
        assert {row["count"] for row in frame.groupBy("ds").count().collect()} == {each}
    assert logs.videos.where("ds = '2022-04-25' and duration_ms is null").count() == 239
