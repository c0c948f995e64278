"""The simulated world's logs on disk and the adapter that reads them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from core.errors import ContractError, MissingDataError, UsageError
from core.tables.blocked_authors import TABLE as BLOCKED_AUTHORS
from core.tables.follows import TABLE as FOLLOWS
from core.tables.users import TABLE as USERS
from core.tables.videos import TABLE as VIDEOS
from jobs.adapters._logs import RAW_IMPRESSIONS
from jobs.adapters.simulated import ADAPTER
from sim.logs import SCHEMAS, days, folder, load_config, write_days
from sim.world import WorldConfig

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

WORLD = WorldConfig(seed=7, users=300, videos=500, authors=60, broken_share=0.002)
DAYS = [WORLD.first_day + timedelta(days=n) for n in range(5)]


@pytest.fixture(scope="module")
def logs_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Five days of logs, made in order."""
    root = tmp_path_factory.mktemp("logs")
    assert write_days(WORLD, str(root), DAYS) == DAYS
    return str(root)


def _file(logs_dir: str, day: date, name: str) -> pa.Table:
    return pq.read_table(folder(logs_dir, day) / f"{name}.parquet", partitioning=None)


def _same_rows(rows: pa.Table) -> Counter[tuple[object, ...]]:
    return Counter(zip(*[column.to_pylist() for column in rows.columns], strict=True))


def test_days_made_in_another_order_are_the_same_files(logs_dir: str, tmp_path: Path) -> None:
    for day in (DAYS[3], DAYS[0]):
        write_days(WORLD, str(tmp_path), [day])
        for name in SCHEMAS:
            there = folder(logs_dir, day) / f"{name}.parquet"
            assert (folder(str(tmp_path), day) / there.name).read_bytes() == there.read_bytes()
    assert days(str(tmp_path)) == [DAYS[0], DAYS[3]]


def test_days_on_disk_are_left_alone(logs_dir: str) -> None:
    before = (folder(logs_dir, DAYS[1]) / "users.parquet").stat().st_mtime_ns
    heard: list[date] = []
    assert write_days(WORLD, logs_dir, DAYS, heard.append) == []
    assert heard == []
    assert (folder(logs_dir, DAYS[1]) / "users.parquet").stat().st_mtime_ns == before


def test_a_write_that_fails_leaves_no_day_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(OSError, match="no space left"):
        write_days(WORLD, str(tmp_path), DAYS[:1])
    assert days(str(tmp_path)) == []
    assert [path.name for path in tmp_path.iterdir()] == ["world.json"]


def test_some_rows_arrive_up_to_three_days_late(logs_dir: str) -> None:
    delays: Counter[int] = Counter()
    for day in DAYS:
        rows = _file(logs_dir, day, "impressions")
        delays.update((day - shown).days for shown in rows["shown_on"].to_pylist() if shown <= day)
    assert set(delays) == {0, 1, 2, 3}
    late = sum(count for delay, count in delays.items() if delay)
    assert late / delays.total() == pytest.approx(WORLD.late_share, rel=0.5)


def test_some_rows_come_twice(logs_dir: str) -> None:
    rows = pa.concat_tables([_file(logs_dir, day, "impressions") for day in DAYS])
    again = sum(count - 1 for count in _same_rows(rows).values())
    assert again / len(rows) == pytest.approx(WORLD.duplicate_share, rel=0.4)


def test_damaged_rows_are_few_and_of_every_kind(logs_dir: str) -> None:
    kinds: Counter[str] = Counter()
    total = 0
    for day in DAYS:
        rows, videos = _file(logs_dir, day, "impressions"), _file(logs_dir, day, "videos")
        total += len(rows)
        kinds["user missing"] += rows["user_id"].null_count
        kinds["watch negative"] += pc.sum(pc.less(rows["watch_ms"], 0)).as_py()
        kinds["video unknown"] += pc.sum(pc.invert(pc.is_in(rows["video_id"], videos["video_id"]))).as_py()
        kinds["shown in future"] += pc.sum(pc.greater(rows["shown_on"], pa.scalar(day))).as_py()
    assert min(kinds.values()) > 0
    assert kinds.total() / total == pytest.approx(WORLD.broken_share, rel=0.5)


def test_whole_logs_hold_each_impression_once(tmp_path: Path) -> None:
    clean = replace(WORLD, duplicate_share=0.0, broken_share=0.0)
    write_days(clean, str(tmp_path), DAYS)
    rows = pa.concat_tables([_file(str(tmp_path), day, "impressions") for day in DAYS])
    keys = rows.select(["user_id", "video_id", "shown_at"])
    assert max(_same_rows(keys).values()) == 1


def test_logs_agree_with_their_own_definitions(logs_dir: str) -> None:
    rows = _file(logs_dir, DAYS[0], "impressions")
    rows = rows.filter(pc.and_(pc.greater_equal(rows["watch_ms"], 0), pc.is_valid(rows["duration_ms"])))
    duration, watch = rows["duration_ms"], rows["watch_ms"]
    assert rows["is_long_view"].equals(pc.greater_equal(watch, pc.min_element_wise(duration, 18_000)))
    valid_play = pc.if_else(pc.less_equal(duration, 7_000), pc.greater_equal(watch, duration), pc.greater(watch, 7_000))
    assert rows["is_click"].equals(valid_play)
    assert rows["shown_hour"].cast(pa.int64()).equals(pc.hour(rows["shown_at"]))
    assert pc.is_valid(rows["propensity"]).equals(rows["is_random"])
    assert _file(logs_dir, DAYS[0], "videos")["duration_ms"].null_count > 0


def test_the_catalogue_of_a_day_is_whole(logs_dir: str) -> None:
    for before, after in pairwise(DAYS):
        for name, key in (("users", "user_id"), ("videos", "video_id")):
            assert set(_file(logs_dir, before, name)[key].to_pylist()) < set(
                _file(logs_dir, after, name)[key].to_pylist()
            )
    videos, users = _file(logs_dir, DAYS[4], "videos"), _file(logs_dir, DAYS[4], "users")
    assert videos["tag_id"].to_pylist() == [tags[0] for tags in videos["tags"].to_pylist()]
    assert {len(tags) for tags in videos["tags"].to_pylist()} == {1, 2, 3}
    assert pc.max(videos["uploaded_on"]).as_py() == DAYS[4]
    assert 0 < pc.sum(pc.invert(videos["is_visible"])).as_py() < 0.1 * len(videos)
    following = Counter(_file(logs_dir, DAYS[4], "follows")["user_id"].to_pylist())
    assert users["following_count"].to_pylist() == [following[user] for user in users["user_id"].to_pylist()]
    assert "new" in users["activity"].to_pylist()


def test_the_configuration_comes_back(logs_dir: str) -> None:
    assert load_config(logs_dir) == WORLD


def test_another_world_in_the_same_folder_is_refused_naming_what_differs(logs_dir: str) -> None:
    with pytest.raises(UsageError, match="seed is 7, asked 8") as caught:
        write_days(replace(WORLD, seed=8, tags=20), logs_dir, DAYS)
    assert "tags is 50, asked 20" in str(caught.value)
    assert "users" not in str(caught.value)


@pytest.mark.parametrize("content", ["not json", '{"seed": 1}', "[]", '{"first_day": "2026-01-01", "sead": 1}'])
def test_a_damaged_configuration_is_one_clear_error(content: str, tmp_path: Path) -> None:
    (tmp_path / "world.json").write_text(content, "utf-8")
    with pytest.raises(UsageError, match=r"world\.json"):
        load_config(str(tmp_path))


def test_a_folder_without_a_world_says_how_to_make_one(spark: SparkSession, tmp_path: Path) -> None:
    for ask in (lambda: ADAPTER.days(str(tmp_path)), lambda: ADAPTER.read(spark, str(tmp_path / "absent"), DAYS)):
        with pytest.raises(MissingDataError, match="reelfeed simulate --to YYYY-MM-DD"):
            ask()


def test_a_day_before_the_world_is_an_error_that_names_the_first(spark: SparkSession, logs_dir: str) -> None:
    with pytest.raises(MissingDataError, match=f"begins on {DAYS[0]}: there is no 2025-12-31"):
        ADAPTER.read(spark, logs_dir, [date(2025, 12, 31), DAYS[0]])
    with pytest.raises(UsageError, match=str(DAYS[0])):
        write_days(WORLD, logs_dir, [date(2025, 12, 31)])


def _shape(frame: DataFrame) -> list[tuple[str, str]]:
    return [(field.name, field.dataType.simpleString()) for field in frame.schema.fields]


def test_the_adapter_gives_the_declared_columns_and_every_row(spark: SparkSession, logs_dir: str) -> None:
    asked = DAYS[1:3]
    logs = ADAPTER.read(spark, logs_dir, asked)
    assert ADAPTER.days(logs_dir)[:5] == DAYS
    assert _shape(logs.impressions) == [(column.name, column.type) for column in RAW_IMPRESSIONS]
    known = {USERS: logs.users, VIDEOS: logs.videos, FOLLOWS: logs.follows, BLOCKED_AUTHORS: logs.blocked_authors}
    for table, frame in known.items():
        assert _shape(frame) == [(column.name, column.type) for column in table.all_columns]
        rows = {row["ds"]: row["count"] for row in frame.groupBy("ds").count().collect()}
        assert rows == {day: len(_file(logs_dir, day, table.name)) for day in asked}
    impressions = _file(logs_dir, DAYS[1], "impressions")
    day = logs.impressions.where(f"ds = '{DAYS[1]}'")
    found = day.selectExpr("unix_micros(shown_at) as at", "watch_ms", "size(faults) as faults").collect()
    assert Counter(row["faults"] for row in found) == {0: len(impressions)}
    logged = zip(impressions["shown_at"].cast(pa.int64()).to_pylist(), impressions["watch_ms"].to_pylist(), strict=True)
    assert Counter((row["at"], row["watch_ms"]) for row in found) == Counter(logged)


def test_the_world_lives_on_when_a_later_day_is_asked_for(spark: SparkSession, tmp_path: Path) -> None:
    write_days(WORLD, str(tmp_path), DAYS[:1])
    logs = ADAPTER.read(spark, str(tmp_path), [DAYS[2]])
    assert logs.impressions.where(f"ds = '{DAYS[2]}'").count() > 0
    assert ADAPTER.days(str(tmp_path)) == [DAYS[0], DAYS[2]]


def test_files_that_are_not_the_worlds_are_named(spark: SparkSession, tmp_path: Path) -> None:
    write_days(WORLD, str(tmp_path), DAYS[:1])
    users = folder(str(tmp_path), DAYS[0]) / "users.parquet"
    renamed = pq.read_table(users, partitioning=None).rename_columns({"activity": "activeness"})
    pq.write_table(renamed, users)
    with pytest.raises(ContractError, match="activeness string, activity string"):
        ADAPTER.read(spark, str(tmp_path), DAYS[:1])
    users.write_text("nothing of use", "utf-8")
    with pytest.raises(ContractError, match=r"users\.parquet"):
        ADAPTER.read(spark, str(tmp_path), DAYS[:1])
    users.unlink()
    with pytest.raises(MissingDataError, match=r"no file users\.parquet"):
        ADAPTER.read(spark, str(tmp_path), DAYS[:1])


def test_the_file_of_the_world_can_be_read_by_a_person(logs_dir: str) -> None:
    content = json.loads((Path(logs_dir) / "world.json").read_text("utf-8"))
    assert content["first_day"] == str(WORLD.first_day)
    assert content["users"] == WORLD.users
