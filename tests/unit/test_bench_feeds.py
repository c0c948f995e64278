"""The benchmark of many users' feeds makes users that are no one else, and tells a memory that grows."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from core.lake import spark_schema
from core.tables.follows import TABLE as FOLLOWS
from core.tables.source_models import TABLE as SOURCE_MODELS
from core.tables.videos import TABLE as VIDEOS
from reelfeed.bench_feeds import JOBS, inputs, multiplied, table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = date(2026, 1, 9)
KNOWN, USERS = 3, 8


def test_each_user_stands_as_often_as_it_takes_with_their_own_rows(spark: SparkSession) -> None:
    follows = [(0, 7, DAY), (0, 8, DAY), (1, 7, DAY), (2, 9, DAY)]
    rows = multiplied(spark.createDataFrame(follows, spark_schema(FOLLOWS)), FOLLOWS, KNOWN, USERS).collect()
    of_each = {user: {row["author_id"] for row in rows if row["user_id"] == user} for user in range(USERS)}
    assert of_each == {user: ({7, 8}, {7}, {9})[user % KNOWN] for user in range(USERS)}
    assert len(rows) == sum(map(len, of_each.values()))


def test_of_the_sources_models_only_what_is_of_users_is_copied(spark: SparkSession) -> None:
    models = [("als", "user", 1, -1, 0.0, [1.0], DAY), ("als", "video", 1, -1, 0.0, [2.0], DAY)]
    models += [("following", "follower", 1, 7, 1.0, [], DAY), ("trending", "member", 1, 0, 1.0, [], DAY)]
    copied = multiplied(spark.createDataFrame(models, spark_schema(SOURCE_MODELS)), SOURCE_MODELS, KNOWN, USERS)
    found = sorted((row["part"], row["entity_id"]) for row in copied.collect())
    users = [(part, user) for part in ("follower", "member", "user") for user in (1, 4, 7)]
    assert found == [*users, ("video", 1)]
    assert {row["embedding"][0] for row in copied.where("part = 'user'").collect()} == {1.0}


def test_only_what_the_jobs_do_not_make_themselves_is_given() -> None:
    names = {given.name for given in inputs()}
    assert {"users", "impressions", "source_models", "features_user_activity", VIDEOS.name} <= names
    assert not names & {"candidates", "scored_candidates", "feeds", "publications"}


@pytest.mark.parametrize(("at_many", "told"), [(2 << 30, "1.00"), (3 << 30, "1.50")])
def test_the_table_tells_the_peak_of_the_worst_job(at_many: int, told: str) -> None:
    medians = {f"{count} grow copies": count / 4 for count in (20, 80)}
    for count in (20, 80):
        for job in JOBS:
            medians |= {f"{count} {job} {key}": value for key, value in (("s", 10.0), ("cpu", 8.0), ("rows", 50.0))}
            medians[f"{count} {job} peak"] = 1 << 30
    medians["20 build_feed peak"], medians["80 score_candidates peak"] = 2 << 30, at_many
    said = table(medians, (20, 80))
    assert said.splitlines()[-1].split("|")[2].strip() == told
    assert "4 users stands 5 and 20 times over" in said
    assert "| 50 | 40 | 0.2 | 2,048 | 50 | 40 | 0.8 |" in said
