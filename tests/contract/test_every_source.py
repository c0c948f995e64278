"""What every candidate source promises, for every file of models/sources/."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pytest

from core.lake import spark_schema
from core.tables.source_models import TABLE as SOURCE_MODELS
from models.history import histories
from models.source import Known, Source, all_sources

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

SOURCES = list(all_sources().values())
DS, QUOTA, USERS, VIDEOS, NEW_USER, SEED = date(2026, 1, 10), 7, 40, 60, 999, 5


@pytest.fixture(scope="module")
def known(spark: SparkSession) -> Iterator[Known]:
    """Forty users of two tastes, 15 impressions each, over sixty videos; video 59 may not be shown."""
    draw = np.random.default_rng(1)
    rows = []
    for user in range(USERS):
        for step in range(15):
            video = int(draw.integers(0, 30)) * 2 + user % 2
            rows.append((user, video, f"2026-01-{1 + step % 10:02d} 10:{step:02d}:00", bool(draw.random() < 0.5)))
    frame = spark.createDataFrame(
        rows, "user_id bigint, video_id bigint, shown string, is_long_view boolean"
    ).selectExpr(
        "user_id", "video_id", "cast(shown as timestamp) shown_at", "cast(shown as date) shown_on", "is_long_view"
    )
    shown = spark.range(VIDEOS - 1).withColumnRenamed("id", "video_id")
    yield Known(frame.cache(), shown, DS, SEED)
    frame.unpersist()


@pytest.fixture(scope="module")
def asking(known: Known, spark: SparkSession) -> DataFrame:
    users = spark.createDataFrame([(user,) for user in [*range(USERS), NEW_USER]], "user_id bigint")
    return histories(known.impressions, users).cache()


def proposals(source: Source, known: Known, asking: DataFrame) -> list[Row]:
    found = source.propose(source.fit(known), asking, QUOTA)
    for row in found.collect():
        assert row["scores"] == sorted(row["scores"], reverse=True), "not best first"
    named = found.selectExpr("user_id", "explode(arrays_zip(videos, scores)) as by")
    return sorted(named.selectExpr("user_id", "by.videos as video_id", "by.scores as score").collect())


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_keeps_its_promises(source: Source, known: Known, asking: DataFrame) -> None:
    seen = {row["user_id"]: set(row["seen"]) for row in asking.collect()}
    found = proposals(source, known, asking)
    assert found, "it proposed nothing"
    assert len({(row["user_id"], row["video_id"]) for row in found}) == len(found), "a video twice for one user"
    assert max(Counter(row["user_id"] for row in found).values()) <= QUOTA
    assert not [row for row in found if row["video_id"] in seen[row["user_id"]]], "a seen video"
    assert not [row for row in found if row["video_id"] >= VIDEOS - 1], "a video that may not be shown"
    assert (NEW_USER in {row["user_id"] for row in found}) == source.serves_new_users
    assert found == proposals(source, known, asking), "not the same for the same seed"


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_its_model_fits_the_table_of_models(source: Source, known: Known) -> None:
    declared = {field.name: field.dataType for field in spark_schema(SOURCE_MODELS).fields}
    for field in source.fit(known).schema.fields:
        assert field.dataType.simpleString() == declared[field.name].simpleString(), field.name
