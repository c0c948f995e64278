"""The time split is strict, test lists are frozen, and each row sees the newest snapshot its feed could have used."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import MissingDataError, UsageError
from core.settings import SplitSettings
from jobs import build_training_set
from jobs.build_training_set import check_embargo, dated, examination_of, looked, sampled, split_days
from models import labels
from models.heads import HEADS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DEEDS = ("long_view", "share", "comment")
FIRST = date(2026, 1, 1)
SETTINGS = SplitSettings(test_days=2, validate_days=2, warm_up_days=1, embargo_hours=2, train_rows_at_most=0)


def days(count: int) -> list[date]:
    return [FIRST + timedelta(days=i) for i in range(count)]


@given(count=st.integers(6, 40))
def test_the_parts_follow_each_other_without_overlap(count: int) -> None:
    split = split_days(days(count), SETTINGS)
    assert FIRST < split.train < split.validate < split.test <= split.last
    assert (split.last - split.test).days + 1 == SETTINGS.test_days
    assert (split.test - split.validate).days == SETTINGS.validate_days


def test_too_little_history_is_one_clear_error() -> None:
    with pytest.raises(MissingDataError, match="5 days of impressions leave none to train on; at least 6"):
        split_days(days(5), SETTINGS)


def test_an_embargo_shorter_than_a_served_label_needs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_embargo(max(head.predicts.maturity_hours for head in HEADS))
    slow = {"like": 30, "watch_debiased": 99}
    changed = [replace(label, maturity_hours=slow.get(label.name, 1)) for label in labels.LABELS]
    monkeypatch.setattr(labels, "LABELS", tuple(changed))
    served = tuple(head for head in HEADS if head.label != "watch_debiased")
    check_embargo(30, served)
    with pytest.raises(UsageError, match=r"like \(30 h\)(?s:.)*embargo_hours(?s:.)*set embargo_hours to 30") as refused:
        check_embargo(29, served)
    assert "watch_debiased" not in str(refused.value)


@pytest.fixture(scope="module")
def parts(spark: SparkSession) -> dict[tuple[int, int], tuple[str, date]]:
    """Part and snapshot of one impression for each hour of eight days, by day of January and hour."""
    rows = [(FIRST + timedelta(days=day), hour) for day in range(8) for hour in range(24)]
    frame = spark.createDataFrame(rows, "shown_on date, shown_hour int")
    found = dated(frame, split_days(days(8), SETTINGS), publish_hour=3, embargo_hours=2).collect()
    return {(row["shown_on"].day, row["shown_hour"]): (row["part"], row["snapshot_ds"]) for row in found}


def test_rows_whose_labels_may_be_incomplete_are_left_out(parts: dict[tuple[int, int], tuple[str, date]]) -> None:
    assert parts[4, 21][0] == "train"
    assert (4, 22) not in parts
    assert (4, 23) not in parts
    assert parts[5, 0][0] == "validate"
    assert (6, 22) not in parts
    assert {parts[7, hour][0] for hour in range(24)} == {"test"}
    assert not [day for day, _ in parts if day == 1], "warm-up days have no history to learn from"


def test_every_test_row_carries_the_snapshot_of_the_eve(parts: dict[tuple[int, int], tuple[str, date]]) -> None:
    assert {snapshot for part, snapshot in parts.values() if part == "test"} == {date(2026, 1, 6)}


def test_a_feed_shown_before_publication_is_the_night_before_s(parts: dict[tuple[int, int], tuple[str, date]]) -> None:
    assert parts[3, 2][1] == date(2026, 1, 1)
    assert parts[3, 3][1] == date(2026, 1, 2)
    for (day, _), (part, snapshot) in parts.items():
        assert snapshot < date(2026, 1, day), f"{part} row of day {day} sees its own day"


def impressions_of(spark: SparkSession, **every: int) -> DataFrame:
    """16,000 impressions of part train and 4,000 of test; deed `name` came of each `every`-th, other deeds of none."""
    deeds = [label.sql for label in labels.binary_labels()]
    return spark.range(20_000).selectExpr(
        *("id user_id", "id % 97 video_id", "timestamp_seconds(id) shown_at", "if(id < 16000, 'train', 'test') part"),
        *(f"id % {every[deed]} = 0 {deed}" if deed in every else f"cast(null as boolean) {deed}" for deed in deeds),
    )


def test_a_sample_stands_for_all_rows_of_its_part(spark: SparkSession) -> None:
    rows = impressions_of(spark, is_long_view=3)
    found = {
        row["part"]: row
        for row in sampled(rows, 4_000, 16_000).groupBy("part").agg({"weight": "sum", "part": "count"}).collect()
    }
    assert found["train"]["count(part)"] == pytest.approx(4_000, rel=0.1)
    assert found["train"]["sum(weight)"] == pytest.approx(16_000, rel=0.1)
    assert found["test"]["count(part)"] == found["test"]["sum(weight)"] == 4_000
    assert sampled(rows, 0, 16_000).count() == 20_000


def test_a_sample_keeps_what_is_rare_and_no_rate_moves(spark: SparkSession) -> None:
    rows = impressions_of(spark, is_long_view=3, is_share=100, is_comment=160)
    train = sampled(rows, 4_000, 16_000).where("part = 'train'").cache()
    assert train.count() == pytest.approx(4_000, rel=0.1)
    assert train.where("is_share or is_comment").count() == 160 + 100 - 20, "not every rare row was kept"
    rates = train.selectExpr("sum(weight) rows", *(f"sum(if(is_{name}, weight, 0)) {name}" for name in DEEDS)).first()
    assert rates is not None
    assert rates["rows"] == pytest.approx(16_000, rel=0.1)
    assert (rates["share"], rates["comment"]) == (160, 100)
    assert rates["long_view"] == pytest.approx(16_000 / 3, rel=0.1)


def test_rare_rows_take_no_more_than_half_of_the_places(spark: SparkSession) -> None:
    rows = impressions_of(spark, is_share=60, is_comment=70, is_follow=80)
    rare = "is_share or is_comment or is_follow"
    train = sampled(rows, 400, 16_000).where("part = 'train'").cache()
    assert train.where(rare).count() == pytest.approx(200, rel=0.2)
    there = rows.where("part = 'train'").where(rare).count()
    assert train.where(rare).selectExpr("sum(weight)").first()[0] == pytest.approx(there, rel=0.2)


def test_places_are_looked_at_as_random_slots_of_the_train_part_say(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 users see five places ten times over: all of the first is watched, half of the others, but policy's slots
    and those of later days none."""
    slots = spark.range(10_000).selectExpr(
        *("id div 50 user_id", "cast(id % 5 + 1 as int) position", "true is_random", "'train' part"),
        "id % 5 = 0 or (id div 5) % 2 = 0 is_long_view",
    )
    others = slots.withColumn("is_long_view", slots["position"] > 1)
    others = others.withColumn("is_random", others["user_id"] % 2 == 0)
    others = others.selectExpr(
        "user_id", "position", "is_random", "if(is_random, 'test', 'train') part", "is_long_view"
    )
    rows = slots.unionByName(others)
    found, count = examination_of(rows, seed=1)
    assert found is not None
    assert count == 10_000
    assert found.first == (1, 2, 3, 4, 5)
    assert [one.value for one in found.estimates] == pytest.approx([1.0, 0.5, 0.5, 0.5, 0.5], abs=1e-6)

    places = spark.createDataFrame([(1,), (3,), (90,), (None,)], "position int")
    assert [row[0] for row in places.select(looked(found)).collect()] == [1.0, 0.5, 0.5, None]
    assert [row[0] for row in places.select(looked(None)).collect()] == [None] * 4

    assert examination_of(rows.where("not is_random"), seed=1) == (None, 0)
    monkeypatch.setattr(build_training_set, "EXAMINED_SLOTS", 4_000)
    assert examination_of(rows, seed=1)[1] == pytest.approx(4_000, rel=0.2)
