"""`reelfeed explain` tells what became of a video, in the figures of the tables themselves."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from worlds import NIGHT

from core.errors import MissingDataError
from core.lake import Lake
from core.recipe import load_recipe
from core.settings import Settings
from core.table import Table
from core.tables.candidates import TABLE as CANDIDATES
from core.tables.feeds import TABLE as FEEDS
from core.tables.scored_candidates import TABLE as SCORED_CANDIDATES
from core.tables.videos import TABLE as VIDEOS
from models.heads import head_names
from reelfeed.explain import explain

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RECIPE = load_recipe("for_you")


def rows(settings: Settings, table: Table) -> list[dict[str, Any]]:
    return Lake(settings.lake).read_arrow(table, [NIGHT]).to_pylist()


def pairs(settings: Settings, table: Table) -> set[tuple[int, int]]:
    return {(row["user_id"], row["video_id"]) for row in rows(settings, table)}


def test_a_slot_is_told_from_its_sources_to_its_place(night: Settings, spark: SparkSession) -> None:
    slot = next(row for row in rows(night, FEEDS) if row["tier"] == "personal" and row["slot"] == 3)
    told = explain(night, RECIPE, NIGHT, slot["user_id"], slot["video_id"])
    assert "slot 3 of" in told
    assert (", ".join(slot["rules"]) or "by value alone") in told
    assert f"in this slot {slot['propensity']:.4g}" in told
    assert all(f"by {by['source']}, its number {by['rank']}," in told for by in slot["sources"])
    terms = {found[1]: float(found[2]) for found in re.finditer(r"^  (\w+) .* = ([+-][\d.]+)$", told, re.MULTILINE)}
    assert terms == {term["head"]: pytest.approx(term["term"], abs=1e-4) for term in slot["terms"]}
    assert set(terms) == set(head_names())
    assert f"in all {slot['value']:+.4f}" in told
    assert re.search(r"[+-]\d\.\d{3}  \w+__\w+ = ", told), "no feature is said to have moved a head"


def test_what_rules_and_exploration_did_to_a_slot_is_told(night: Settings, spark: SparkSession) -> None:
    drawn = next(row for row in rows(night, FEEDS) if row["is_exploration"] and row["tier"] == "personal")
    told = explain(night, RECIPE, NIGHT, drawn["user_id"], drawn["video_id"])
    assert f"slot {drawn['slot']} of" in told
    assert f"placed by rules: {', '.join(drawn['rules'])}" in told
    assert "exploration" in drawn["rules"]


def test_a_video_that_fell_is_told_where(night: Settings) -> None:
    dropped = min(pairs(night, CANDIDATES) - pairs(night, SCORED_CANDIDATES))
    assert "the pre-ranker left it out" in explain(night, RECIPE, NIGHT, *dropped)
    user = dropped[0]
    of_user = {video for who, video in pairs(night, CANDIDATES) if who == user}
    never = min(row["video_id"] for row in rows(night, VIDEOS) if row["video_id"] not in of_user)
    assert "it was no candidate" in explain(night, RECIPE, NIGHT, user, never)


def test_a_night_without_feeds_is_named(night: Settings) -> None:
    with pytest.raises(MissingDataError, match="no feeds for"):
        explain(night, RECIPE, NIGHT + timedelta(days=1), 1, 1)
