"""What every feature group promises, for every file of features/groups/, against brute force in plain Python."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from features.catalog import all_groups, feature_names
from features.group import FeatureGroup, Rate, column_name
from features.tiles import derived, tiles, window_sums

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

GROUPS = list(all_groups().values())
FIRST = date(2026, 1, 1)
DAYS = [FIRST + timedelta(days=i) for i in range(12)]
Impression = dict[str, Any]


def impressions(seed: int, rows: int = 400) -> list[Impression]:
    """Random impressions of 12 days; one in ten arrives one to three days late, some have no tag or length."""
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(rows):
        on = int(draw.integers(0, 12))
        arrived = min(on + (int(draw.integers(1, 4)) if draw.random() < 0.1 else 0), 11)
        watch = int(draw.integers(0, 30_000))
        found.append(
            {
                "user_id": int(draw.integers(0, 6)),
                "video_id": int(draw.integers(0, 9)),
                "author_id": int(draw.integers(0, 4)),
                "tag_id": None if draw.random() < 0.1 else int(draw.integers(0, 3)),
                "surface": int(draw.integers(0, 2)),
                "duration_ms": None if draw.random() < 0.1 else 15_000,
                "watch_ms": watch,
                "is_click": watch > 7_000,
                "is_long_view": watch >= 15_000,
                "is_like": bool(draw.random() < 0.1),
                "is_not_interested": bool(draw.random() < 0.05),
                "shown_on": DAYS[on],
                "ds": DAYS[arrived],
            }
        )
    return found


def frame(spark: SparkSession, rows: list[Impression]) -> DataFrame:
    ddl = (
        "user_id bigint, video_id bigint, author_id bigint, tag_id int, surface int, duration_ms bigint, "
        "watch_ms bigint, is_click boolean, is_long_view boolean, is_like boolean, is_not_interested boolean, "
        "shown_on date, ds date"
    )
    return spark.createDataFrame([tuple(row.values()) for row in rows], ddl)


def measured(row: Impression) -> dict[str, int]:
    """The measures of one impression, written from their docs, not from their SQL."""
    length = row["duration_ms"]
    return {
        "showings": 1,
        "skips": int(row["watch_ms"] < 3000 and not row["is_long_view"]),
        "watched_squares": int(min(row["watch_ms"] / length, 1) * 1000) ** 2 // 1000 if length else 0,
        "long_views": int(row["is_long_view"]),
        "clicks": int(row["is_click"]),
        "likes": int(row["is_like"]),
        "not_interested": int(row["is_not_interested"]),
        "watched_units": int(min(row["watch_ms"] / length, 1) * 1000) if length else 0,
        "timed_units": 1000 if length else 0,
    }


FOLLOWED = {(1, 2), (2, 0), (4, 3), (5, 1)}


def follows(spark: SparkSession) -> DataFrame:
    rows = [(user, author, day) for user, author in FOLLOWED for day in DAYS]
    return spark.createDataFrame(rows, "user_id bigint, author_id bigint, ds date")


def brute_force(rows: list[Impression], group: FeatureGroup, day: date) -> dict[tuple[Any, ...], dict[str, int]]:
    """The sums of `group` at the end of `day`: what had arrived by then and happened in each window."""
    wanted = {measure.name for measure in group.measures}
    found: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for logged in rows:
        row = logged | {"duration_bucket": None if logged["duration_ms"] is None else 4}
        entity = tuple(row[name] for name in group.entity)
        if None in entity or row["ds"] > day or row["shown_on"] <= day - timedelta(days=group.longest):
            continue
        if group.where and (row["user_id"], row["author_id"]) not in FOLLOWED:
            continue
        age = (day - row["shown_on"]).days
        for name, amount in measured(row).items():
            for window in group.windows if name in wanted else ():
                weight = round(65536 * 0.5 ** (age / 7)) if window.name == "decayed" else 1
                found[entity][column_name(name, window)] += amount * weight if age < window.days else 0
    return found


def built(frame: DataFrame, group: FeatureGroup, days: list[date]) -> dict[date, dict[tuple[Any, ...], dict[str, int]]]:
    found: dict[date, dict[tuple[Any, ...], dict[str, int]]] = defaultdict(dict)
    for row in window_sums(tiles(derived(frame, follows(frame.sparkSession)), group), group, days).collect():
        content = row.asDict()
        day = content.pop("ds")
        entity = tuple(content.pop(name) for name in group.entity)
        assert entity not in found[day], "two rows for one entity"
        found[day][entity] = content
    return found


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_equals_brute_force_on_every_day_and_a_day_alone_equals_the_range(
    group: FeatureGroup, spark: SparkSession
) -> None:
    rows = impressions(seed=3)
    shuffled = frame(spark, [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]).repartition(3)
    whole = built(shuffled, group, DAYS)
    for day in DAYS:
        assert whole[day] == {entity: dict(sums) for entity, sums in brute_force(rows, group, day).items()}, day
    alone = [row for row in rows if row["ds"] <= DAYS[7]]
    assert built(frame(spark, alone), group, [DAYS[7]])[DAYS[7]] == whole[DAYS[7]]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_poisoning_what_arrives_later_changes_nothing(group: FeatureGroup, spark: SparkSession) -> None:
    rows, day = impressions(seed=4), DAYS[6]
    poisoned = [
        row | {"watch_ms": 29_999, "is_like": True, "is_long_view": True} if row["ds"] > day else row for row in rows
    ]
    assert poisoned != rows
    assert any(row["shown_on"] <= day < row["ds"] for row in rows), "no late row tests the second clock"
    assert built(frame(spark, poisoned), group, [day]) == built(frame(spark, rows), group, [day])


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_its_parent_has_its_rates_and_part_of_its_entity(group: FeatureGroup) -> None:
    if group.parent:
        parent = all_groups()[group.parent]
        assert set(parent.entity) < set(group.entity) or (group.where and parent.entity == group.entity)
        assert set(group.windows) <= set(parent.windows)
        assert {f.name for f in group.features if isinstance(f, Rate)} <= {
            f.name for f in parent.features if isinstance(f, Rate)
        }


def test_names_are_unique() -> None:
    assert len(set(feature_names())) == len(feature_names())
