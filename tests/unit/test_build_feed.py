"""build_feed on a tiny night: every row explains itself, its probability included, and a re-run is the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from core.errors import MissingDataError
from core.job import JobContext
from core.lake import Lake, spark_schema
from core.recipe import Recipe, RuleUse, load_recipe
from core.settings import Settings
from core.table import Table
from core.tables.blocked_authors import TABLE as BLOCKED_AUTHORS
from core.tables.candidates import TABLE as CANDIDATES
from core.tables.embeddings import TABLE as EMBEDDINGS
from core.tables.feeds import TABLE as FEEDS
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.scored_candidates import TABLE as SCORED_CANDIDATES
from core.tables.source_fits import TABLE as SOURCE_FITS
from core.tables.source_models import TABLE as SOURCE_MODELS
from core.tables.users import TABLE as USERS
from core.tables.videos import TABLE as VIDEOS
from jobs.build_feed import JOB
from models.heads import head_names
from reelfeed import rule_costs

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DS = date(2026, 1, 10)
SNAPSHOT = f"{DS}-0123456789ab"
NEW, PEOPLE, POOL, LISTED = 0, 12, 60, 25
"""User NEW has neither history nor candidates."""
BLOCKS = {NEW: 3, 2: 4}
"""Users to the author whom they have blocked."""
HERMIT = PEOPLE
"""A user more, who has blocked every author."""
RULES = (
    RuleUse("seen", {}),
    RuleUse("integrity", {}),
    RuleUse("mmr", {"unlikeness": 50}),
    RuleUse("topic_spread", {"most": 2, "within": 5}),
    RuleUse("author_cap", {"most": 1, "within": 5}),
    RuleUse("new_videos", {"least": 1, "within": 10}),
)
RECIPE = replace(load_recipe("for_you"), length=15, rules=RULES, exploration_slots=3)


def tables() -> dict[Table, list[dict[str, Any]]]:
    """Rows of every table that the job reads; user 1 has seen video 3, video 7 is hidden, videos below 5 are fresh.

    Users of uneven number have weights of their own.
    """
    draw = np.random.default_rng(5)
    users = [
        {"user_id": n, "account_age_days": 9, "activity": "low", "following_count": 0, "follower_count": 0}
        for n in (*range(PEOPLE), HERMIT)
    ]
    about = {"tags": [], "duration_ms": 9000, "uploaded_on": DS, "upload_type": "unknown", "music_id": None}
    videos = [
        {"video_id": n, "author_id": n % 9, "tag_id": n % 5 or None, "is_visible": n != 7, "is_advert": False, **about}
        for n in range(POOL)
    ]
    flags = {name: False for name in IMPRESSIONS.column_names if name.startswith("is_")}
    met = {"user_id": 1, "video_id": 3, "shown_at": datetime(2026, 1, 9, tzinfo=UTC), "shown_on": DS, "shown_hour": 8}
    met |= {"surface": 1, "position": 1, "propensity": None, "author_id": 3, "tag_id": 3, "duration_ms": 9000}
    candidates, scored = [], []
    for user in range(NEW + 1, PEOPLE):
        for rank, video in enumerate(draw.choice(POOL, LISTED, replace=False).tolist(), 1):
            named = {"user_id": user, "video_id": video}
            sources = [{"source": "fresh" if video < 5 else "trending", "rank": rank, "score": 1 / rank}]
            predictions = draw.random(len(head_names())).tolist()
            weights = [RECIPE.value[head] * (0.9 if user % 2 else 1) for head in head_names()]
            value = sum(p * weight for p, weight in zip(predictions, weights, strict=True))
            candidates.append({**named, "rank": rank, "sources": sources})
            scored.append({**named, "value": value, "predictions": predictions, "features_hash": 1, "model": "m"})
            scored[-1] |= {"is_degraded": False, "snapshot_version": SNAPSHOT, "weights": weights if user % 2 else None}
    link = {"source": "trending", "part": "everyone", "entity_id": 0, "embedding": []}
    learned = {"source": "two_tower", "kind": "video", "model": "m"}
    return {
        USERS: users,
        BLOCKED_AUTHORS: [
            {"user_id": user, "author_id": author}
            for user, author in [*BLOCKS.items(), *[(HERMIT, author) for author in range(9)]]
        ],
        VIDEOS: videos,
        IMPRESSIONS: [{**flags, **met, "watch_ms": 100}],
        CANDIDATES: candidates,
        SCORED_CANDIDATES: scored,
        SOURCE_MODELS: [{**link, "target_id": n, "score": float(POOL - n)} for n in range(POOL)],
        SOURCE_FITS: [{"source": "trending", "state": "fitted", "rows": POOL, "reason": ""}],
        EMBEDDINGS: [learned | {"entity_id": n, "embedding": draw.normal(size=3).tolist()} for n in range(POOL - 1)],
    }


@pytest.fixture
def installed(spark: SparkSession, settings: Settings, lake: Lake) -> Settings:
    for table, rows in tables().items():
        frame = spark.createDataFrame([row | {"ds": DS} for row in rows], spark_schema(table))
        lake.publish(frame, table, [DS], validate=lambda *_: [], job="test", seconds=lambda: 0.0, reads={})
    return settings


def built(settings: Settings, recipe: Recipe = RECIPE) -> list[dict[str, Any]]:
    lake = Lake(settings.lake)
    JOB.run(JobContext(JOB, (DS,), settings, recipe, "", "", lake))
    rows: list[dict[str, Any]] = lake.read_arrow(FEEDS, [DS]).to_pylist()
    return sorted(rows, key=lambda row: (row["user_id"], row["slot"]))


def test_every_row_explains_itself_and_a_run_again_is_the_same(installed: Settings) -> None:
    rows = built(installed)
    before = Lake(installed.lake).partitions(FEEDS, [DS])
    assert built(installed) == rows
    assert Lake(installed.lake).partitions(FEEDS, [DS]) == before
    feeds = [[row for row in rows if row["user_id"] == user] for user in range(PEOPLE)]
    assert HERMIT not in {row["user_id"] for row in rows}
    listed = {(row["user_id"], row["video_id"]): row for row in tables()[SCORED_CANDIDATES]}
    for feed in feeds:
        assert [row["slot"] for row in feed] == list(range(1, RECIPE.length + 1))
        assert len({row["video_id"] for row in feed}) == RECIPE.length
        assert not {7} & {row["video_id"] for row in feed}
        assert sum(row["is_exploration"] for row in feed) == RECIPE.exploration_slots
        opened = sum(row["propensity"] < 1 for row in feed)
        rest = {row["propensity"] for row in feed if not row["is_exploration"]} - {1.0}
        assert sorted(rest) == pytest.approx([1 - RECIPE.exploration_slots / opened])
    assert 3 not in {row["video_id"] for row in feeds[1]}, "seen"
    author = {row["video_id"]: row["author_id"] for row in tables()[VIDEOS]}
    for user, blocked in BLOCKS.items():
        assert blocked not in {author[row["video_id"]] for row in feeds[user]}
    for row in rows:
        assert row["value"] == pytest.approx(sum(term["term"] for term in row["terms"]), abs=1e-12)
        scored = listed.get((row["user_id"], row["video_id"]))
        assert row["value"] == pytest.approx(scored["value"] if scored else 0.0, abs=1e-12)
        assert (row["tier"] == "popular") == (scored is None) == ("fallback" in row["rules"])
        assert row["snapshot_version"] == (SNAPSHOT if scored else "")
        own = [RECIPE.value[head] * (0.9 if row["user_id"] % 2 else 1) for head in head_names()]
        assert [term["weight"] for term in row["terms"]] == (own if scored else [])
        assert (row["valid_from"], row["valid_until"]) == ("2026-01-11T03:00", "2026-01-14T03:00")
        assert ("exploration" in row["rules"]) == row["is_exploration"]
        assert (row["propensity"] == 1) == ("new_videos" in row["rules"] and not row["is_exploration"])
    assert {row["tier"] for row in feeds[NEW]} == {"popular"}
    assert {rule for row in rows for rule in row["rules"]} >= {"mmr", "topic_spread", "author_cap", "new_videos"}


def test_without_vectors_rules_compare_tags(spark: SparkSession, installed: Settings, lake: Lake) -> None:
    none = spark.createDataFrame([], spark_schema(EMBEDDINGS))
    lake.publish(none, EMBEDDINGS, [DS], validate=lambda *_: [], job="test", seconds=lambda: 0.0, reads={})
    recipe = replace(RECIPE, rules=(RuleUse("mmr", {"unlikeness": 1000}),), exploration_slots=0)
    feed = [row for row in built(installed, recipe) if row["user_id"] == 2]
    tags = {row["video_id"]: row["tag_id"] for row in tables()[VIDEOS]}
    first = [tags[row["video_id"]] for row in feed if tags[row["video_id"]]][:4]
    assert len(set(first)) == 4, "one of each tag, before a second of any"


def test_what_rules_cost_and_give_is_measured_on_the_night_s_own_candidates(
    installed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_costs, "MORE", (RuleUse("mmr", {"unlikeness": 1000}), RuleUse("author_cap", {})))
    recipe = replace(RECIPE, rules=(RuleUse("seen", {}), RuleUse("author_cap", {"most": 1, "within": 5})))
    before = Lake(installed.lake).days(FEEDS)
    found = rule_costs.figures(installed, DS, recipe)
    assert list(found) == [rule_costs.SERVED, "without author_cap", "with mmr 1000"]
    value = {told: rows["value"]["value"] for told, rows in found.items()}
    assert value["without author_cap"] > value[rule_costs.SERVED]
    spread = {told: rows["diversity_two_tower"]["value"] for told, rows in found.items()}
    assert spread["with mmr 1000"] > spread[rule_costs.SERVED]
    row = rule_costs.table(found, "Tiny.").splitlines()[4]
    assert row.startswith(f"| {rule_costs.SERVED} | {value[rule_costs.SERVED]:.3f} [")
    assert "| +0.00 |" in row
    assert Lake(installed.lake).days(FEEDS) == before
    with pytest.raises(MissingDataError, match=r"no candidates were scored on 2026-01-09(.|\n)*choices: 2026-01-10"):
        rule_costs.figures(installed, date(2026, 1, 9), recipe)
