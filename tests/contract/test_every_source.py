"""What every candidate source promises, for every file of models/sources/."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from core.lake import spark_schema
from core.tables.source_models import TABLE as SOURCE_MODELS
from jobs._sources import ask_all, fit_all
from models import sources
from models.history import histories
from models.source import Known, Source, all_sources

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

SOURCES = list(all_sources().values())
DS, QUOTA, USERS, VIDEOS, AUTHORS, NEW_USER, SEED = date(2026, 1, 10), 7, 40, 60, 6, 999, 5


@pytest.fixture(scope="module")
def known(spark: SparkSession) -> Iterator[Known]:
    """Forty users of two tastes, 15 impressions each, over sixty videos of six authors; video 59 may not be shown.

    Even and odd videos have a tag each; the last four were uploaded today. A user follows the author of their number.
    """
    draw = np.random.default_rng(1)
    rows = []
    for user in range(USERS):
        for step in range(15):
            video = int(draw.integers(0, 28)) * 2 + user % 2
            shown = datetime(2026, 1, 1 + step % 10, 10, step, tzinfo=UTC)
            liked, long_view = (bool(draw.random() < share) for share in (0.1, 0.5))
            rows.append((user, video, video % AUTHORS, shown, shown.date(), long_view, liked, False, False))
    ddl = (
        "user_id bigint, video_id bigint, author_id bigint, shown_at timestamp, shown_on date, "
        "is_long_view boolean, is_like boolean, is_follow boolean, is_not_interested boolean"
    )
    frame = spark.createDataFrame(rows, ddl)
    videos = spark.createDataFrame(
        [
            (video, video % AUTHORS, video % 2, [video % 2], 10_000, DS if video > 54 else date(2025, 12, 1), None)
            for video in range(VIDEOS - 1)
        ],
        "video_id bigint, author_id bigint, tag_id int, tags array<int>, duration_ms bigint, uploaded_on date, "
        "music_id bigint",
    )
    users = spark.createDataFrame(
        [(user, ("low", "high")[user % 2]) for user in range(USERS)], "user_id bigint, activity string"
    )
    follows = spark.createDataFrame(
        [(user, user % AUTHORS) for user in range(USERS)], "user_id bigint, author_id bigint"
    )
    yield Known(frame.cache(), videos, users, follows, DS, SEED)
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


def test_a_source_is_added_by_one_file(
    known: Known, asking: DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same file as anyone would write: found by its folder, fitted and asked like all others."""
    (tmp_path / "smallest_ids.py").write_text(
        "from models.model_rows import link_matrix, links\n"
        "from models.search import propose_linked\n"
        "from models.source import Source\n"
        "from pyspark.sql import functions as F\n"
        "def fit(known):\n"
        "    return links('all', known.videos, F.lit(0), 'video_id', 1.0 / (1 + F.col('video_id')))\n"
        "def propose(model, histories, quota):\n"
        "    asking = histories.select('user_id', 'seen', F.array(F.lit(0).cast('bigint')).alias('things'))\n"
        "    return propose_linked(asking, *link_matrix(model, 'all'), quota)\n"
        "SOURCE = Source('smallest_ids', 'By id.', 'tests', True, fit, propose)\n"
    )
    monkeypatch.setattr(sources, "__path__", [*sources.__path__, str(tmp_path)])
    all_sources.cache_clear()
    try:
        models, states = fit_all(known, ["smallest_ids"])
        assert states == {"smallest_ids": ("fitted", VIDEOS - 1, "")}
        found = ask_all(models, asking, {"smallest_ids": 3})["smallest_ids"].collect()
    finally:
        all_sources.cache_clear()
    unseen = {row["user_id"]: sorted(set(range(VIDEOS - 1)) - set(row["seen"]))[:3] for row in asking.collect()}
    assert {row["user_id"]: row["videos"] for row in found} == unseen
