"""`reelfeed explain` tells what became of a video, in the figures of the tables themselves."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from worlds import NIGHT

from core.errors import MissingDataError
from core.job import JobContext
from core.lake import Lake
from core.recipe import load_recipe
from core.settings import Settings
from core.table import Table
from core.tables.candidates import TABLE as CANDIDATES
from core.tables.feeds import TABLE as FEEDS
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.scored_candidates import TABLE as SCORED_CANDIDATES
from core.tables.videos import TABLE as VIDEOS
from models.heads import head_names
from reelfeed.explain import JOB, explain, told, user_night
from reelfeed.unproposed import unproposed

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RECIPE = load_recipe("for_you")
TERM = re.compile(r"^  (\w+) .* = ([+-][\d.]+)$", re.MULTILINE)
NOWHERE = 10**9


def rows(settings: Settings, table: Table) -> list[dict[str, Any]]:
    return Lake(settings.lake).read_arrow(table, [NIGHT]).to_pylist()


def pairs(settings: Settings, table: Table) -> set[tuple[int, int]]:
    return {(row["user_id"], row["video_id"]) for row in rows(settings, table)}


def test_a_slot_is_told_from_its_sources_to_its_place(night: Settings, spark: SparkSession) -> None:
    slot = next(row for row in rows(night, FEEDS) if row["tier"] == "personal" and row["slot"] == 3)
    text = explain(night, RECIPE, NIGHT, slot["user_id"], slot["video_id"])
    assert "slot 3 of" in text
    assert f"on features of snapshot {slot['snapshot_version']}\n" in text
    assert f"These feeds are served: publication 1, the feeds of {NIGHT}, valid from {slot['valid_from']}" in text
    assert (", ".join(slot["rules"]) or "by value alone") in text
    assert f"in this slot {slot['propensity']:.4g}" in text
    assert all(f"by {by['source']}, its number {by['rank']}," in text for by in slot["sources"])
    terms = {head: float(term) for head, term in TERM.findall(text)}
    assert terms == {term["head"]: pytest.approx(term["term"], abs=1e-4) for term in slot["terms"]}
    assert set(terms) == set(head_names())
    assert f"in all {slot['value']:+.4f}" in text
    assert re.search(r"[+-]\d\.\d{3}  \w+__\w+ = ", text), "no feature is said to have moved a head"


def test_what_rules_and_exploration_did_to_a_slot_is_told(night: Settings, spark: SparkSession) -> None:
    drawn = next(row for row in rows(night, FEEDS) if row["is_exploration"] and row["tier"] == "personal")
    text = explain(night, RECIPE, NIGHT, drawn["user_id"], drawn["video_id"])
    assert f"slot {drawn['slot']} of" in text
    assert f"placed by rules: {', '.join(drawn['rules'])}" in text
    assert "exploration" in drawn["rules"]


def test_a_video_that_fell_is_told_where(night: Settings) -> None:
    dropped = min(pairs(night, CANDIDATES) - pairs(night, SCORED_CANDIDATES))
    assert "the pre-ranker left it out" in explain(night, RECIPE, NIGHT, *dropped)
    user = dropped[0]
    of_user = {video for who, video in pairs(night, CANDIDATES) if who == user}
    never = min(row["video_id"] for row in rows(night, VIDEOS) if row["video_id"] not in of_user)
    assert "it was no candidate" in explain(night, RECIPE, NIGHT, user, never)


def test_a_thousand_slots_are_told_as_their_rows_have_them(night: Settings) -> None:
    lake, feeds = Lake(night.lake), rows(night, FEEDS)
    lengths = Counter(row["user_id"] for row in feeds)
    users = np.random.default_rng(3).permutation(sorted(lengths))
    many = users[: 1 + np.searchsorted(np.cumsum([lengths[user] for user in users]), 1000)]
    nights = {user: user_night(lake, RECIPE, NIGHT, user) for user in many.tolist()}
    drawn = [row for row in feeds if row["user_id"] in nights]
    assert len(drawn) >= 1000
    for row in drawn:
        assert sum(term["term"] for term in row["terms"]) == pytest.approx(row["value"], abs=1e-9)
        text = "\n".join(told(nights[row["user_id"]], RECIPE, row["video_id"], {}))
        assert f"slot {row['slot']} of {lengths[row['user_id']]}, tier {row['tier']}," in text
        assert f"in this slot {row['propensity']:.4g}" in text
        terms = {term["head"]: pytest.approx(term["term"], abs=1e-4) for term in row["terms"]}
        assert {head: float(term) for head, term in TERM.findall(text)} == terms
        if row["tier"] != "popular":
            assert f"in all {row['value']:+.4f}" in text
            assert f"model {row['model']}" in text
            assert all(f"by {by['source']}, its number {by['rank']}," in text for by in row["sources"])


def test_a_ranked_video_without_a_slot_is_told_how_far_it_was(night: Settings) -> None:
    told_of = 0
    for user in sorted({row["user_id"] for row in rows(night, FEEDS)})[:20]:
        own = user_night(Lake(night.lake), RECIPE, NIGHT, user)
        earned = [row for row in own.slots.values() if not row["is_exploration"]]
        last = max(earned, key=lambda row: row["slot"])["value"]
        for row in own.scored.values():
            if row["video_id"] not in own.slots and row["value"] < last:
                told_of += 1
                assert f"is {last - row['value']:.4f} more" in "\n".join(told(own, RECIPE, row["video_id"], {}))
    assert told_of


def test_what_kept_a_ranked_video_of_value_out_is_told(night: Settings, spark: SparkSession) -> None:
    for user in sorted({row["user_id"] for row in rows(night, FEEDS)}):
        own = user_night(Lake(night.lake), RECIPE, NIGHT, user)
        last = max((row for row in own.slots.values() if not row["is_exploration"]), key=lambda row: row["slot"])
        better = [
            row for row in own.scored.values() if row["value"] > last["value"] and row["video_id"] not in own.slots
        ]
        if better:
            break
    ranked = sorted(own.scored.values(), key=lambda row: (-row["value"], row["video_id"]))
    text = explain(night, RECIPE, NIGHT, user, better[0]["video_id"])
    assert f"by value alone it is number {ranked.index(better[0]) + 1} of the user's list" in text
    assert re.search(r"the rule \w+ (took it out|brought it to number)|exploration gave its slot", text)
    others = explain(night, replace(RECIPE, length=RECIPE.length - 1), NIGHT, user, better[0]["video_id"])
    assert "the recipe has changed since that night" in others


def test_why_a_video_was_no_candidate_is_told(night: Settings) -> None:
    ctx = JobContext(JOB, (NIGHT,), night, RECIPE, "", "", Lake(night.lake))
    videos = rows(night, VIDEOS)
    showable = {row["video_id"] for row in videos if row["is_visible"] and not row["is_advert"]}
    hidden = next(row["video_id"] for row in videos if not row["is_visible"])
    seen = next(row for row in rows(night, IMPRESSIONS) if row["video_id"] in showable)
    user, video = seen["user_id"], seen["video_id"]
    assert "was shown it in the last 28 days" in unproposed(ctx, user, video)[-1]
    assert "it may not be shown" in unproposed(ctx, user, hidden)[-1]
    assert f"no video {NOWHERE}" in unproposed(ctx, user, NOWHERE)[-1]
    assert f"no user {NOWHERE}" in unproposed(ctx, NOWHERE, rows(night, FEEDS)[0]["video_id"])[-1]


def test_a_night_without_feeds_is_named(night: Settings) -> None:
    with pytest.raises(MissingDataError, match="no feeds for"):
        explain(night, RECIPE, NIGHT + timedelta(days=1), 1, 1)
