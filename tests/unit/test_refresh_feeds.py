"""The day after a tiny night: the active get a feed without what they have seen and with what is new; nobody else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import pytest
from test_build_feed import DS, NEW, RECIPE, tables
from written_tables import write

from core import tracking
from core.errors import ContractError, MissingDataError, NothingToDoError, ReelfeedError, UsageError
from core.job import Job, JobContext
from core.lake import Lake
from core.recipe import Recipe
from core.settings import Settings, load_settings, with_home
from core.store import open_store
from core.tables.candidates import TABLE as CANDIDATES
from core.tables.fallback_feeds import TABLE as FALLBACK_FEEDS
from core.tables.feeds import TABLE as FEEDS
from core.tables.publications import TABLE as PUBLICATIONS
from core.tables.refreshed_feeds import TABLE as REFRESHED_FEEDS
from core.tables.scored_candidates import TABLE as SCORED_CANDIDATES
from core.tables.todays_impressions import TABLE as TODAYS_IMPRESSIONS
from core.tables.todays_videos import TABLE as TODAYS_VIDEOS
from core.tables.videos import TABLE as VIDEOS
from jobs.export_feeds import JOB as EXPORT_FEEDS
from jobs.export_refresh import JOB as EXPORT_REFRESH
from jobs.refresh_feeds import JOB as REFRESH_FEEDS
from models.calibration import NONE
from models.exploration import Exploration
from models.handoff import NIGHT, Served, look_up
from models.heads import HEADS
from models.ranker import HeadModel, Ranker, trees
from models.registry import log_ranker
from reelfeed.refreshed import refreshed

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TODAY = DS + timedelta(days=1)
NINE, TEN = 9, 10
KEEN, EARLY, STRANGER, IDLE = 2, 6, 99, 5
"""KEEN and NEW come before ten, IDLE does not; EARLY has a feed of nine o'clock; STRANGER registered today."""
UPLOADED, WITHDRAWN, HIDDEN = 900, 21, 7
Row = dict[str, Any]


def ranker() -> Ranker:
    """One that is sure of a long view where a video was uploaded on the day it is shown, and of nothing else."""
    ages = np.repeat([[0.0], [1.0], [2.0]], 50, axis=0)
    data = lightgbm.Dataset(ages, 1.0 * (ages[:, 0] == 0))
    told = {"objective": "regression", "learning_rate": 1.0, "boost_from_average": False, "verbosity": -1}
    booster = trees(lightgbm.train(told | {"min_data_in_leaf": 1, "num_threads": 1}, data, 1))
    heads = [(head.name, head.kind, booster if head.name == "long_view" else "") for head in HEADS]
    return Ranker(("freshness__age",), (), tuple(HeadModel(*head, 0.0, NONE) for head in heads))


def run(settings: Settings, job: Job, recipe: Recipe = RECIPE, hour: int = 0) -> None:
    job.run(JobContext(job, (TODAY if hour else DS,), settings, recipe, "", "", Lake(settings.lake), hour=hour))


def feeds(settings: Settings, hour: int = 0) -> dict[int, list[Row]]:
    """The night's feeds or those of an hour, by user, in order of slot."""
    lake = Lake(settings.lake)
    rows = lake.read_arrow(REFRESHED_FEEDS if hour else FEEDS, [TODAY if hour else DS]).to_pylist()
    own = sorted((row for row in rows if row.get("hour", 0) == hour), key=lambda row: (row["user_id"], row["slot"]))
    return {user: [row for row in own if row["user_id"] == user] for user in {row["user_id"] for row in own}}


def videos(feed: Sequence[Row]) -> list[int]:
    return [row["video_id"] for row in feed]


def night_s() -> list[Row]:
    """The night's feeds: the first candidates of every user, in order."""
    listed: dict[int, list[int]] = {NEW: [8, 9, 10, 11]}
    for row in tables()[CANDIDATES]:
        if row["video_id"] == HIDDEN:
            continue
        listed.setdefault(row["user_id"], []).append(row["video_id"])
    return [
        {"recipe": RECIPE.name, "recipe_hash": RECIPE.hash, "user_id": user, "slot": slot, "video_id": video}
        for user, own in listed.items()
        for slot, video in enumerate(own[: RECIPE.length], 1)
    ]


def arrive(settings: Settings, shown: dict[int, list[int]], hour: int) -> None:
    """Puts in what had arrived of TODAY when `hour` began: `shown` to each user, and the videos of the pool by then."""
    about = {"tags": [], "duration_ms": 9000, "upload_type": "unknown"}
    pool = [row | about for row in tables()[VIDEOS]]
    pool = [row | {"is_visible": row["is_visible"] and row["video_id"] != WITHDRAWN} for row in pool]
    new = {"video_id": UPLOADED, "author_id": 777, "tag_id": 9, "is_visible": True, "uploaded_on": TODAY}
    lake, at = Lake(settings.lake), datetime(2026, 1, 11, 9, tzinfo=UTC)
    rows = [
        {"user_id": user, "video_id": video, "author_id": video, "shown_at": at + timedelta(seconds=place)}
        | {"shown_on": TODAY, "shown_hour": 9, "surface": 1, "is_long_view": True, "until_hour": hour}
        for user, seen in shown.items()
        for place, video in enumerate(seen)
    ]
    write(lake, TODAYS_VIDEOS, TODAY, [*pool, new | about])
    write(lake, TODAYS_IMPRESSIONS, TODAY, rows, content=str(hour))


def publish(settings: Settings, number: int, **changes: object) -> None:
    """Makes the ledger say that the feeds of DS as they stand are served, as publication `number`."""
    lake = Lake(settings.lake)
    row = {"recipe": RECIPE.name, "number": number, "action": "published", "origin": number, "feeds_ds": DS}
    row |= {"feeds_version": lake.open(FEEDS).version(), "valid_until": "2026-01-14T03:00"}
    row |= {"content_hash": lake.partitions(FEEDS, [DS])[str(DS)].hash}
    row |= {"fallbacks_version": lake.open(FALLBACK_FEEDS).version()}
    write(lake, PUBLICATIONS, DS, [row | changes])


@pytest.fixture(scope="module", autouse=True)
def _own_home() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("REELFEED_HOME", raising=False)
        yield


@pytest.fixture(scope="module")
def home(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An installation whose night is published and handed over, with ten o'clock of the day after and a row of nine."""
    local = load_settings("local")
    home = tmp_path_factory.mktemp("day") / "home"
    settings = with_home(replace(local, spark=replace(local.spark, shuffle_partitions=2)), home)
    lake = Lake(settings.lake)
    with tracking.run(settings, "tests", "ranker"):
        log_ranker(settings, RECIPE.name, ranker())
    for table, rows in tables().items():
        told = {"model": ranker().model_id} if table is SCORED_CANDIDATES else {}
        write(lake, table, DS, [row | told for row in rows])
    write(lake, FEEDS, DS, night_s())
    write(lake, FALLBACK_FEEDS, DS, [{"recipe": RECIPE.name, "tier": "popular", "slot": 1, "video_id": 8}])
    publish(settings, 1)
    run(settings, EXPORT_FEEDS)
    night = feeds(settings)
    seen = {user: videos(night[user])[:3] for user in (KEEN, NEW)} | {STRANGER: [8]}
    arrive(settings, seen, TEN)
    earlier = {"recipe": RECIPE.name, "hour": NINE, "publication": 1, "user_id": EARLY, "slot": 1, "video_id": 1}
    write(lake, REFRESHED_FEEDS, TODAY, [earlier | {"tier": "personal", "propensity": 1.0}])
    for job in (REFRESH_FEEDS, EXPORT_REFRESH):
        run(settings, job, hour=TEN)
    return settings


@pytest.fixture
def day(home: Settings, tmp_path: Path) -> Settings:
    """That installation, a test's own to change."""
    shutil.copytree(home.home_path, tmp_path / "home")
    return with_home(home, tmp_path / "home")


def test_nothing_seen_today_comes_back_and_a_new_feed_is_as_whole_as_the_night_s(home: Settings) -> None:
    night, now = feeds(home), feeds(home, TEN)
    assert set(now) == {KEEN, NEW}, "neither those who were not there nor one who has no feed"
    for user, feed in now.items():
        assert [row["slot"] for row in feed] == list(range(1, RECIPE.length + 1))
        assert len(set(videos(feed))) == RECIPE.length
        assert not set(videos(night[user])[:3]) & set(videos(feed))
        assert not {HIDDEN, WITHDRAWN} & set(videos(feed))
        assert UPLOADED in videos(feed), "uploaded today"
        assert {(row["publication"], row["valid_from"]) for row in feed} == {(1, "2026-01-11T10:00")}
        drawn = [row for row in feed if row["is_exploration"]]
        opened = sum(row["propensity"] < 1 for row in feed)
        assert len(drawn) == RECIPE.exploration_slots
        rest = {row["propensity"] for row in feed if not row["is_exploration"]} - {1.0}
        assert sorted(rest) == pytest.approx([1 - RECIPE.exploration_slots / opened])
        left = {row["propensity"] for row in drawn}
        assert len(left) == 1
        assert round(RECIPE.exploration_slots / opened / left.pop(), 6).is_integer()


def test_what_the_day_s_sources_name_is_scored_by_the_night_s_ranker(home: Settings) -> None:
    scored = {(row["user_id"], row["video_id"]) for row in tables()[SCORED_CANDIDATES]}
    of_day = [row for row in feeds(home, TEN)[KEEN] if (KEEN, row["video_id"]) not in scored]
    assert UPLOADED in videos(of_day)
    for row in of_day:
        assert (row["model"], row["tier"]) == (ranker().model_id, "degraded"), "there are no features in this night"
        assert row["value"] == pytest.approx(sum(term["term"] for term in row["terms"]))
        is_sure = row["video_id"] == UPLOADED
        assert row["value"] == pytest.approx(is_sure * RECIPE.value["long_view"], abs=1e-6)
        assert {by["source"] for by in row["sources"]} <= {"fresh", "trending"}


def test_the_reader_gets_the_new_feed_of_the_active_and_the_night_s_of_all_others(home: Settings) -> None:
    store, night, now = open_store(home.store), feeds(home), feeds(home, TEN)
    version = look_up(store, RECIPE.name, IDLE).version
    for user, feed in night.items():
        shown, hour = (now[user], TEN) if user in now else (feed, NIGHT)
        assert look_up(store, RECIPE.name, user) == Served(version, "personal", tuple(videos(shown)), hour)


def test_explain_knows_of_a_feed_made_anew(home: Settings) -> None:
    lake, feed = Lake(home.lake), feeds(home, TEN)[KEEN]
    (row,) = [row for row in feed if row["video_id"] == UPLOADED]
    said = refreshed(lake, RECIPE.name, DS, KEEN, UPLOADED)
    assert said[-1].endswith(f"slot {row['slot']} of {RECIPE.length}, probability {row['propensity']:.4g}")
    assert f"at hour 10 of {TODAY}" in said[-1]
    assert refreshed(lake, RECIPE.name, DS, KEEN, videos(feeds(home)[KEEN])[0])[-1].endswith("it has no slot")
    assert refreshed(lake, RECIPE.name, DS, IDLE, UPLOADED) == []
    assert refreshed(lake, RECIPE.name, TODAY, KEEN, UPLOADED) == []


def test_draws_are_those_of_the_hour(home: Settings) -> None:
    def drawn_at(hour: int, opened: list[int], user: int) -> set[int]:
        turns = Exploration(RECIPE.exploration_slots, RECIPE.hash, DS, hour).uniforms(np.array([user]))[0, ::2]
        for turn, uniform in enumerate(turns):
            other = turn + int(uniform * (len(opened) - turn))
            opened[turn], opened[other] = opened[other], opened[turn]
        return set(opened[: len(turns)])

    of_night = []
    for user, feed in feeds(home, TEN).items():
        opened = [row["slot"] for row in feed if row["propensity"] < 1]
        drawn = {row["slot"] for row in feed if row["is_exploration"]}
        assert drawn == drawn_at(TEN, opened.copy(), user)
        of_night.append(drawn == drawn_at(NIGHT, opened.copy(), user))
    assert not all(of_night)


def test_the_same_hour_again_is_the_same_beside_those_before(day: Settings) -> None:
    lake = Lake(day.lake)
    before = lake.partitions(REFRESHED_FEEDS, [TODAY])
    run(day, REFRESH_FEEDS, hour=TEN)
    assert lake.partitions(REFRESHED_FEEDS, [TODAY]) == before
    assert videos(feeds(day, NINE)[EARLY]) == [1], "an impression of nine o'clock keeps its probability"
    with pytest.raises(MissingDataError, match="last at hour 10, and those of hour 9"):
        run(day, EXPORT_REFRESH, hour=NINE)


def test_a_new_edition_makes_what_was_refreshed_void(day: Settings) -> None:
    night = feeds(day)
    publish(day, 2)
    run(day, EXPORT_FEEDS)
    served = look_up(open_store(day.store), RECIPE.name, KEEN)
    assert (served.videos, served.hour) == (tuple(videos(night[KEEN])), NIGHT)
    with pytest.raises(ContractError, match=r"stand in for publication 1; 2 is served since, and they are void"):
        run(day, EXPORT_REFRESH, hour=TEN)


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        ("no hour", UsageError, "needs an hour from 1 to 24, not 0"),
        ("hour 25", UsageError, "not 25"),
        ("hour 11", ContractError, "has arrived until hour 10, and feeds of hour 11"),
        ("next day", NothingToDoError, "but publication 1, of 2026-01-10"),
        ("nothing published", MissingDataError, "no feeds of recipe 'another' were ever published"),
        ("made again", ContractError, "were made again since publication 1"),
        ("other recipe", ContractError, "has changed since the feeds"),
    ],
)
def test_a_refresh_that_makes_no_sense_is_one_clear_error(
    request: pytest.FixtureRequest, fault: str, error: type[ReelfeedError], said: str
) -> None:
    home: Settings = request.getfixturevalue("day" if fault == "made again" else "home")
    lake = Lake(home.lake)
    if fault == "made again":
        write(lake, FEEDS, DS, lake.read_arrow(FEEDS, [DS]).to_pylist(), content="another")
    hour = {"no hour": 0, "hour 25": 25, "hour 11": 11}.get(fault, TEN)
    days = (TODAY + timedelta(days=1),) if fault == "next day" else (TODAY,)
    recipe = replace(RECIPE, exploration_slots=1) if fault == "other recipe" else RECIPE
    if fault == "nothing published":
        recipe = replace(RECIPE, name="another")
    before = lake.open(REFRESHED_FEEDS).version()
    with pytest.raises(error, match=said):
        REFRESH_FEEDS.run(JobContext(REFRESH_FEEDS, days, home, recipe, "", "", lake, hour=hour))
    assert lake.open(REFRESHED_FEEDS).version() == before
