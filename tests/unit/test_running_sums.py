"""Sums carried from night to night are those that all tiles give, whatever arrives late or changes behind them."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.lake import Lake
from core.recipe import load_recipe
from core.run import Request, run_jobs
from core.settings import Settings, load_settings, with_home
from core.tables.feature_priors import TABLE as FEATURE_PRIORS
from features.catalog import all_groups, generations
from features.group import FeatureGroup, column_name
from features.running import BUCKETS, FILE, by_bucket, can_carry, counted, merged
from features.tiles import window_sums
from jobs import build_features
from jobs._registry import all_jobs
from jobs.build_features import JOB
from sim.logs import write_days
from sim.world import WorldConfig

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CARRIED = [group for group in all_groups().values() if can_carry(group)]
NIGHTS = 12
"""Nights of a drawn log, of which the first begins anew."""

LATE, LONGEST = 3, 28
Tile = tuple[int, int, int, int]
"""Entity, day of event, day of arrival, impressions."""


def test_who_is_many_is_carried() -> None:
    assert {"user_activity", "user_tag_affinity", "user_author_affinity"} <= {group.name for group in CARRIED}
    assert all(counted(group) in group.measures for group in CARRIED)
    assert set(JOB.keeps) == {group.sums for group in CARRIED}


def drawn(seed: int) -> list[Tile]:
    draw = np.random.default_rng(seed)
    days = LONGEST + NIGHTS
    return [
        (entity, on, on + int(draw.choice([0, 0, 0, 1, LATE])), int(draw.integers(1, 4)))
        for entity in range(4)
        for on in range(days)
        if draw.random() < [0.02, 0.1, 0.5, 0.9][entity]
    ]


def changed(tiles: list[tuple[Tile, bool]], group: FeatureGroup, day: int) -> list[pa.RecordBatch]:
    """Batches as features.running.write deals them to a bucket, of tiles that enter or leave."""
    if not tiles:
        return []
    columns: dict[str, Any] = {name: pa.array([tile[0] for tile, _ in tiles], pa.int64()) for name in group.entity}
    columns["age"] = pa.array([day - tile[1] for tile, _ in tiles], pa.int32())
    columns["enters"] = pa.array([enters for _, enters in tiles], pa.bool_())
    columns |= {measure.name: pa.array([tile[3] for tile, _ in tiles], pa.int64()) for measure in group.measures}
    return [pa.RecordBatch.from_pydict(columns)]


def by_hand(tiles: list[Tile], group: FeatureGroup, day: int) -> list[dict[str, int]]:
    found = []
    for entity in sorted({tile[0] for tile in tiles}):
        row = dict.fromkeys(group.entity, entity)
        for measure in group.measures:
            for window in group.windows:
                row[column_name(measure.name, window)] = sum(
                    count
                    for who, on, arrived, count in tiles
                    if who == entity and arrived <= day and day - window.days < on <= day
                )
        if row[column_name(counted(group).name, group.windows[-1])]:
            found.append(row)
    return found


@given(st.integers(0, 2**32 - 1))
def test_carried_on_or_made_anew_sums_are_those_of_the_tiles(seed: int) -> None:
    group = all_groups()["user_activity"]
    lengths = [window.days for window in group.windows]
    tiles, sums = drawn(seed), None
    for day in range(LONGEST, LONGEST + NIGHTS):
        if sums is None:
            came = [(tile, True) for tile in tiles if tile[2] <= day and day - LONGEST < tile[1] <= day]
        else:
            came = [(tile, True) for tile in tiles if tile[2] == day]
            came += [(tile, False) for tile in tiles if tile[2] < day and day - tile[1] in lengths]
        sums = merged(sums, changed(came, group, day), group)
        assert sums.to_pylist() == by_hand(tiles, group, day), day


def test_of_no_one_there_are_no_sums() -> None:
    group = all_groups()["user_tag_affinity"]
    empty = merged(None, [], group)
    assert (empty.num_rows, empty.column_names) == (0, [column.name for column in group.sums.columns])
    assert merged(empty, [], group).equals(empty)


def test_files_of_another_number_of_buckets_do_not_count() -> None:
    files = [f"/lake/{FILE.format(bucket)}" for bucket in range(BUCKETS)]
    assert by_bucket(files)[3] == files[3]
    assert by_bucket(files[1:]) == {}
    assert by_bucket([]) == {}


FIRST = date(2026, 1, 1)
DAYS = [FIRST + timedelta(days=i) for i in range(3)]
WORLD = WorldConfig(
    seed=13, first_day=FIRST, users=40, videos=60, authors=9, tags=4, impressions_per_user_day=8, late_share=0.1
)


BUILT = ("all_reception", "user_activity", "user_author_affinity", "user_tag_affinity")
"""The groups that are carried first as logs grow, and those above them: seven others would take twice the time."""


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Settings, Path]:
    """One that carries the sums of its largest groups, with the impressions of all days; and its logs."""
    monkeypatch.delenv("REELFEED_HOME", raising=False)
    few = tuple(tuple(group for group in each if group.name in BUILT) for each in generations())
    monkeypatch.setattr(build_features, "generations", lambda: few)
    logs = tmp_path / "logs"
    write_days(WORLD, str(logs), DAYS)
    local = load_settings("local")
    spark = replace(local.spark, shuffle_partitions=2)
    settings = with_home(replace(local, spark=spark, carry_from_tiles=60), tmp_path / "home")
    build(settings, logs, DAYS[0], DAYS[-1], "ingest_events")
    return settings, logs


def build(settings: Settings, logs: Path, first: date, last: date, job: str = "build_features") -> None:
    tables = [table for name in BUILT for table in (all_groups()[name].tiles, all_groups()[name].snapshot)]
    jobs = {**all_jobs(), "build_features": replace(JOB, writes=(*tables, FEATURE_PRIORS))}
    run_jobs(jobs, [job], Request(last, first, load_recipe("for_you"), "simulated", str(logs)), settings)


def test_nights_carry_sums_on_and_see_what_changed_behind_them(
    installation: tuple[Settings, Path], caplog: pytest.LogCaptureFixture, spark: SparkSession
) -> None:
    settings, logs = installation
    lake, group = Lake(settings.lake), all_groups()["user_tag_affinity"]

    def night(day: date) -> str:
        """What was said of the group's sums, which are those of all its tiles."""
        caplog.clear()
        with caplog.at_level(logging.INFO, "reelfeed"):
            build(settings, logs, day, day)
        for each in (group, all_groups()["user_author_affinity"]):
            tiles = lake.read(spark, each.tiles, lake.days(each.tiles))
            anew = window_sums(tiles, each, [day]).select(*each.sums.column_names)
            carried = lake.read(spark, each.sums, [day])
            assert not carried.isEmpty()
            assert carried.exceptAll(anew).isEmpty()
            assert anew.exceptAll(carried).isEmpty()
        return next(line for line in caplog.messages if line.startswith(f"{group.sums.name}: ") and "rows" not in line)

    assert "made anew" in night(DAYS[0])
    assert f"carried on from {DAYS[0]}" in night(DAYS[1])
    # The tiles of a day behind change: they are no longer those that the sums were made of.
    fewer = lake.read(spark, group.tiles, [DAYS[0]]).where("user_id % 2 = 0")
    lake.publish(fewer, group.tiles, [DAYS[0]], validate=lambda *_: [], job="hand", seconds=lambda: 0.0, reads={})
    assert "made anew" in night(DAYS[2])
    # A night that does not carry publishes the same, so nothing new.
    tables = [FEATURE_PRIORS, *[all_groups()[name].snapshot for name in BUILT]]
    versions = [lake.open(table).version() for table in tables]
    build(replace(settings, carry_from_tiles=10**9), logs, DAYS[2], DAYS[2])
    assert [lake.open(table).version() for table in tables] == versions
