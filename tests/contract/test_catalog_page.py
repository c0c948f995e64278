"""docs/catalog.md says what the groups declare: every feature, and what stands where nothing is known."""

from __future__ import annotations

import os
import re
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from core.lake import spark_schema
from core.settings import ROOT
from core.tables.follows import TABLE as FOLLOWS
from core.tables.users import TABLE as USERS
from core.tables.videos import TABLE as VIDEOS
from features.catalog import Feature, all_groups, fact_groups, feature_names, features, features_of
from features.catalog_page import OTHER_FEATURE, describe_facts, page, read_from
from features.group import Fact

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PAGE = ROOT / "docs" / "catalog.md"
FACTS = list(chain.from_iterable(group.features for group in fact_groups().values()))


def test_the_page_is_what_the_declarations_make() -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(page(), "utf-8")
    assert page() == PAGE.read_text("utf-8"), "docs/catalog.md is out of date: run `make golden`, then review it"


def test_every_feature_stands_on_the_page_once() -> None:
    found = []
    for name in re.findall(r"^\| `(\w+__[^`]+)` \|", page(), re.MULTILINE):
        head, _, windows = name.partition("{")
        found += [head + window for window in windows.rstrip("}").split(",")]
    only_priors = [
        feature.name for group in all_groups().values() if group.only_prior for feature in features_of(group)
    ]
    assert sorted(found) == sorted([*feature_names(), *only_priors])


def test_every_group_has_its_section_and_every_link_leads_somewhere() -> None:
    text = page()
    sections = re.findall(r"^## (\w+)$", text, re.MULTILINE)
    assert sorted(sections) == sorted([*all_groups(), *fact_groups()])
    assert set(re.findall(r"\]\(#(\w+)\)", text)) <= set(sections)
    for path in re.findall(r"\]\(([^#)]+)\)", text):
        assert (PAGE.parent / path).is_file(), path


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.name)
def test_every_column_that_a_fact_names_comes_from_somewhere(fact: Fact) -> None:
    words = set(re.findall(r"\b[a-z]\w*\b(?!\s*\()", OTHER_FEATURE.sub("", fact.sql)))
    columns = words - {"as", "is", "not", "null", "int"}
    assert columns <= read_from(fact).keys(), "say in READ_FROM of features/catalog_page.py where it comes from"


def test_facts_in_words_name_sql_source_and_neutral_value() -> None:
    session = fact_groups()["session"]
    text = describe_facts(session, {"session__pause"})
    assert "SQL   session_pause\n" in text
    assert "a feed is scored with NaN in its place" in text
    assert "session__break" not in text


def test_what_is_said_to_stand_for_the_unknown_stands_there(spark: SparkSession) -> None:
    from pyspark.sql import functions as F

    from features.point_in_time import Knowledge, vectors

    columns = (
        "user_id bigint, video_id bigint, author_id bigint, tag_id int, duration_ms bigint, surface int, "
        "shown_on date, snapshot_ds date, uploaded_on date, upload_type string, music_id bigint, tags array<int>"
    )
    rows = spark.createDataFrame([(None,) * 12], columns).withColumn("snapshot_ds", F.lit("2026-01-01").cast("date"))
    tables = [spark.createDataFrame([], spark_schema(table)) for table in (USERS, VIDEOS, FOLLOWS)]
    vector: Any = vectors(rows, Knowledge({}, *tables)).select("features").collect()[0][0]
    by_name = {feature.name: feature for group in all_groups().values() for feature in features_of(group)}

    def said(feature: Feature) -> float:
        if feature.neutral is not None:
            return feature.neutral
        parent = feature.default.removeprefix("that of ")
        if parent != feature.default:
            return said(by_name[f"{parent}__{feature.name.partition('__')[2]}"])
        return float(feature.default)

    expected = {feature.name: said(feature) for feature in features()}
    seen = dict(zip(feature_names(), vector, strict=True))
    assert {
        name: value for name, value in seen.items() if not np.isclose(value, expected[name], atol=1e-6, equal_nan=True)
    } == {}
