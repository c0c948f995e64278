"""Publication on tables made by hand: checks by name, a pointer that moves whole or not, rollback, retention."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from written_tables import write

from core.errors import UsageError
from core.lake import Lake
from core.recipe import load_recipe
from core.run import Request, run_jobs
from core.settings import Settings, load_settings, with_home
from core.store import StoreError, open_store
from core.table import Table
from core.tables.blocked_authors import TABLE as BLOCKED_AUTHORS
from core.tables.fallback_feeds import TABLE as FALLBACK_FEEDS
from core.tables.feeds import TABLE as FEEDS
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.publications import TABLE as PUBLICATIONS
from core.tables.source_models import TABLE as SOURCE_MODELS
from core.tables.users import TABLE as USERS
from core.tables.videos import TABLE as VIDEOS
from jobs._publications import ledger, served
from jobs._registry import all_jobs
from models.feed_checks import CHECKS, Limits, checked
from models.handoff import current, look_up
from reelfeed.redis_server import redis_server
from reelfeed.rollback import roll_back
from reelfeed.standing import standing, told
from reelfeed.vacuum import vacuum

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MONDAY, TUESDAY, WEDNESDAY = (date(2026, 1, 5) + timedelta(days=i) for i in range(3))
RECIPE = replace(load_recipe("for_you"), length=3)
JOBS = all_jobs()
USER_IDS, MET, HIDDEN = (1, 2, 3), 7, 8
FEED = {user: [user, user + 1, user + 2] for user in USER_IDS}


def put(lake: Lake, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Writes the same `rows` as both nights of `table`."""
    for day in (MONDAY, TUESDAY):
        write(lake, table, day, rows)


def put_feeds(lake: Lake, day: date, feeds: dict[int, list[int]]) -> None:
    rows = [
        {"recipe": RECIPE.name, "user_id": user, "slot": slot, "video_id": video}
        for user, videos in feeds.items()
        for slot, video in enumerate(videos, start=1)
    ]
    write(lake, FEEDS, day, rows, content=hashlib.sha256(repr((day, feeds)).encode()).hexdigest())


@pytest.fixture(scope="module")
def made(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with three users of two segments, eight videos, and two nights of good feeds, the first of them served."""
    home = tmp_path_factory.mktemp("made")
    local = load_settings("local")
    settings = with_home(replace(local, spark=replace(local.spark, shuffle_partitions=2)), home)
    lake = Lake(str(home / "lake"))
    activities = zip(USER_IDS, ("full_active", "full_active", "newcomer"), strict=True)
    members = [{"user_id": user, "activity": activity} for user, activity in activities]
    put(lake, USERS, members)
    videos = [{"video_id": video, "is_visible": video != HIDDEN} for video in range(1, HIDDEN + 1)]
    put(lake, VIDEOS, videos)
    put(lake, IMPRESSIONS, [{"user_id": 1, "video_id": MET}])
    put(lake, BLOCKED_AUTHORS, [])
    lists = [("everyone", 0, [8, 6, 5, 4, 3]), ("segment", 1, [8, 7, 6]), ("segment", 2, [2, 1])]
    links = [
        {"part": part, "entity_id": of, "target_id": video, "score": 1.0 / place}
        for part, of, listed in lists
        for place, video in enumerate(listed, start=1)
    ]
    links += [{"part": "member", "entity_id": user, "target_id": of} for user, of in ((1, 1), (2, 1), (3, 2))]
    trending = [{"source": "trending"} | link for link in links]
    put(lake, SOURCE_MODELS, trending)
    put_feeds(lake, MONDAY, FEED)
    put_feeds(lake, TUESDAY, {user: videos[::-1] for user, videos in FEED.items()})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REELFEED_HOME", str(home))
        publish(settings, MONDAY)
    return home


@pytest.fixture
def nights(made: Path, lake: Lake, settings: Settings) -> Lake:
    """That installation, a test's own."""
    shutil.copytree(made, settings.home_path)
    return lake


def publish(settings: Settings, day: date, jobs: Sequence[str] = ("publish_feeds", "export_feeds")) -> None:
    run_jobs(JOBS, jobs, Request(day, day, RECIPE, "simulated", ""), settings)


def shown(settings: Settings, user: int = 1, segment: str = "") -> tuple[int, ...]:
    return look_up(open_store(settings.store), RECIPE.name, user, segment).videos


def actions(lake: Lake) -> list[tuple[int, str, date, int | None]]:
    return [(row["number"], row["action"], row["feeds_ds"], row["previous"]) for row in ledger(lake, RECIPE.name)]


def test_a_night_is_published_handed_over_and_run_again_changes_nothing(nights: Lake, settings: Settings) -> None:
    assert shown(settings) == (1, 2, 3)
    assert shown(settings, 9, "full_active") == (7, 6), "video 8 may not be shown"
    assert shown(settings, 9, "newcomer") == (2, 1)
    assert shown(settings, 9, "unheard of") == (6, 5, 4), "the best of all, as long as a feed"
    publish(settings, TUESDAY)
    assert shown(settings) == (3, 2, 1)
    assert actions(nights) == [(1, "published", MONDAY, None), (2, "published", TUESDAY, 1)]
    (row,) = [row for row in ledger(nights, RECIPE.name) if row["number"] == 2]
    assert (row["valid_from"], row["valid_until"]) == ("2026-01-07T03:00", "2026-01-10T03:00")
    assert [reason.split()[0] for reason in row["reasons"]] == list(CHECKS)
    versions = [nights.open(table).version() for table in (PUBLICATIONS, FALLBACK_FEEDS)]
    written = {path: path.stat().st_mtime_ns for path in Path(settings.store).rglob("*") if path.is_file()}
    for day in (MONDAY, TUESDAY):
        publish(settings, day)
    assert [nights.open(table).version() for table in (PUBLICATIONS, FALLBACK_FEEDS)] == versions
    assert {path: path.stat().st_mtime_ns for path in Path(settings.store).rglob("*") if path.is_file()} == written


def test_every_complaint_is_counted_by_its_own_check(spark: SparkSession) -> None:
    """Videos 1 to 12 may be shown, 13 not; users 1 to 6 have met video 12, user 9 all but three, 7 and 8 none.

    Of each two videos one author is; user 6 has blocked that of 4 and 5, user 7 one without videos, user 10, who has no
    feed, everyone.
    """
    feeds = {
        1: [12, 2, 3],
        2: [1, 2, 2],
        3: [1, 2, 13],
        4: [1, 2],
        5: [],
        6: [4, 5, 6],
        7: [4, 5, 6],
        8: [],
        9: [1, 2, 3],
    }
    rows = [(user, slot, video) for user, videos in feeds.items() for slot, video in enumerate(videos, start=1)]
    met = [(user, 12) for user in range(1, 7)] + [(9, video) for video in range(4, 14)]
    found = checked(
        spark.createDataFrame(rows, "user_id long, slot int, video_id long"),
        spark.createDataFrame(met, "user_id long, video_id long"),
        spark.range(1, 11).toDF("user_id"),
        spark.range(1, 13).selectExpr("id as video_id", "id div 2 as author_id"),
        spark.createDataFrame([(6, 2), (7, 99), *[(10, n) for n in range(7)]], "user_id long, author_id long"),
        4,
        Limits(*[0.0] * 7, same=0.5),
    )
    assert {check.name: (check.count, check.of) for check in found} == {
        "seen": (1, 20),
        "repeated": (1, 20),
        "unshowable": (1, 20),
        "blocked": (2, 20),
        "short": (8, 10),
        "missing": (2, 10),
        "cold": (1, 3),
        "same": (2, 7),
    }
    assert [check.name for check in found if check.holds] == ["same"]
    assert str(found[0]) == (
        "seen 5.00% (1 of 20 slots show a video that the user was shown in the last 28 days), more than 0.00%"
    )


def test_bad_feeds_are_withheld_with_an_alert_and_the_earlier_ones_stay(
    nights: Lake, settings: Settings, spark: SparkSession, caplog: pytest.LogCaptureFixture
) -> None:
    put_feeds(nights, TUESDAY, FEED | {1: [7, 2, 8]})
    for _ in range(2):
        publish(settings, TUESDAY)
    assert actions(nights) == [(1, "published", MONDAY, None), (2, "withheld", TUESDAY, 1)]
    assert shown(settings) == (1, 2, 3)
    alerts = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert "withheld: seen 11.11% (1 of 9 slots" in alerts[0]
    assert "unshowable 11.11%" in alerts[0]
    assert alerts[1] == "publication 1 of 2026-01-05 goes on being served"
    put_feeds(nights, TUESDAY, FEED | {1: [4, 5, 6]})
    publish(settings, TUESDAY)
    assert actions(nights)[-1] == (3, "published", TUESDAY, 1)
    assert shown(settings) == (4, 5, 6)


def test_an_old_night_run_again_does_not_take_the_place_of_a_newer_one(
    nights: Lake, settings: Settings, spark: SparkSession
) -> None:
    publish(settings, TUESDAY, ["publish_feeds"])
    put_feeds(nights, MONDAY, FEED | {1: [4, 5, 6]})
    publish(settings, MONDAY)
    assert actions(nights)[1:] == [(2, "published", TUESDAY, 1), (3, "withheld", MONDAY, 2)]
    assert shown(settings) == (3, 2, 1)


class Killed(BaseException):
    """The process ended here."""


def test_killed_at_any_commit_of_a_publication_the_earlier_feeds_stay(
    nights: Lake, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, now = Lake._commit, served(ledger(nights, RECIPE.name))
    for dies_at in (FALLBACK_FEEDS, PUBLICATIONS):

        def dying(lake: Lake, table: Table, *others: Any, dies_at: Table = dies_at) -> int:
            if table is dies_at:
                raise Killed
            return commit(lake, table, *others)

        monkeypatch.setattr(Lake, "_commit", dying)
        with pytest.raises(Killed):
            publish(settings, TUESDAY, ["publish_feeds"])
        assert served(ledger(nights, RECIPE.name)) == now, dies_at.name
        monkeypatch.setattr(Lake, "_commit", commit)
    publish(settings, TUESDAY)
    assert shown(settings) == (3, 2, 1)


def test_rollback_serves_an_earlier_night_again_and_a_night_run_again_leaves_it_so(
    nights: Lake, settings: Settings, spark: SparkSession
) -> None:
    publish(settings, TUESDAY)
    said = roll_back(settings, RECIPE, "", "too many cats")
    assert said.endswith(
        "publication 1, the feeds of 2026-01-05, is served again instead of 2 of 2026-01-06: too many cats"
    )
    assert shown(settings) == (1, 2, 3)
    assert actions(nights)[-1] == (3, "rolled_back", MONDAY, 2)
    row = served(ledger(nights, RECIPE.name))
    assert row is not None
    assert (row["reasons"], row["valid_until"], row["ds"]) == (["too many cats"], "2026-01-10T03:00", TUESDAY)
    publish(settings, TUESDAY, ["publish_feeds"])
    with pytest.raises(UsageError, match="no publication before the one"):
        roll_back(settings, RECIPE, "", "again")
    roll_back(settings, RECIPE, "2026-01-06", "cats are fine")
    assert shown(settings) == (3, 2, 1)
    assert actions(nights)[-1] == (4, "rolled_back", TUESDAY, 3)
    roll_back(settings, RECIPE, "2", "cats are fine")
    assert len(actions(nights)) == 4, "it was served already"


def test_a_rollback_finds_the_feeds_that_the_store_still_holds_and_gives_them_a_fresh_time_to_live(
    nights: Lake, settings: Settings, spark: SparkSession
) -> None:
    publish(settings, TUESDAY)
    store = Path(settings.store, RECIPE.name)
    (version,) = {path.name for path in store.iterdir() if path.name.startswith("1-")}
    written = {path: path.stat().st_ino for path in (store / version / "users").iterdir()}
    for path in written:
        os.utime(path, (path.stat().st_mtime - timedelta(hours=71.9).total_seconds(),) * 2)
    roll_back(settings, RECIPE, "", "too many cats")
    now = current(open_store(settings.store), RECIPE.name)
    assert now is not None
    assert (now.version, now.valid_until) == (version, "2026-01-10T03:00")
    assert {path: path.stat().st_ino for path in (store / version / "users").iterdir()} == written, "written again"
    assert all(time.time() - path.stat().st_mtime < 3600 for path in written)
    roll_back(settings, RECIPE, "2", "cats are fine")
    assert shown(settings) == (3, 2, 1), "what was served until then is kept too"


def test_a_withdrawn_video_is_served_no_more_even_where_the_night_is_withheld_or_rolled_back(
    nights: Lake, settings: Settings, spark: SparkSession, caplog: pytest.LogCaptureFixture
) -> None:
    withdrawn = 2
    videos = [{"video_id": video, "is_visible": video not in (HIDDEN, withdrawn)} for video in range(1, HIDDEN + 1)]
    write(nights, VIDEOS, TUESDAY, videos)
    publish(settings, TUESDAY)
    assert actions(nights)[-1][1:3] == ("withheld", TUESDAY), "Tuesday's feeds were built before"
    assert shown(settings) == (1, 3)
    assert shown(settings, 9, "newcomer") == (1,)
    alerts = [record.getMessage() for record in caplog.records if record.name == "reelfeed.alert"]
    assert "unshowable 22.22%" in alerts[0]
    assert "1 of its videos may not be shown any more, 2 among them" in alerts[-1]
    put_feeds(nights, TUESDAY, {1: [6, 5, 4], 2: [5, 4, 6], 3: [4, 5, 6]})
    caplog.clear()
    publish(settings, TUESDAY)
    assert shown(settings) == (6, 5, 4)
    assert [record for record in caplog.records if record.name == "reelfeed.alert"] == []
    roll_back(settings, RECIPE, "", "too many dogs")
    assert shown(settings) == (1, 3)


def test_of_every_night_is_told_whether_it_is_served_and_if_not_why(
    nights: Lake, settings: Settings, spark: SparkSession
) -> None:
    def stands(day: date) -> tuple[str, str, str]:
        found = standing(nights, RECIPE.name, day)
        first, *rest = told(found)
        return found.state, first, "".join(rest)

    monday = "publication 1, the feeds of 2026-01-05"
    assert stands(MONDAY) == (
        "served",
        f"These feeds are served: {monday}, valid from 2026-01-06T03:00 until 2026-01-09T03:00.",
        "",
    )
    state, first, rest = stands(TUESDAY)
    assert (state, first[:39]) == ("undecided", "Nothing was decided about these feeds: ")
    assert rest.startswith(f"Served now: {monday}, valid")
    put_feeds(nights, TUESDAY, FEED | {1: [7, 2, 3]})
    publish(settings, TUESDAY, ["publish_feeds"])
    state, first, rest = stands(TUESDAY)
    assert (state, first.count("%")) == ("withheld", 2), "only the check that failed, and its limit"
    assert "never served. seen 11.11% (1 of 9" in first
    assert rest.startswith(f"Served now: {monday}, valid")
    put_feeds(nights, TUESDAY, FEED | {1: [4, 5, 6]})
    publish(settings, TUESDAY, ["publish_feeds"])
    assert stands(TUESDAY)[0] == "served"
    assert stands(MONDAY)[:2] == ("replaced", "These feeds were served until publication 3 took their place.")
    roll_back(settings, RECIPE, "", "too many cats")
    assert stands(TUESDAY)[:2] == (
        "rolled back",
        "These feeds were served and rolled back by decision 4: too many cats.",
    )
    assert stands(TUESDAY)[2].startswith(f"Served now: {monday}, again (decision 4, too many cats), valid")
    assert stands(MONDAY)[0] == "served"


def test_a_version_that_is_unknown_or_gone_is_told_with_those_there_are(
    nights: Lake, settings: Settings, spark: SparkSession
) -> None:
    publish(settings, TUESDAY, ["publish_feeds"])
    with pytest.raises(UsageError, match="no publication '9'") as raised:
        roll_back(settings, RECIPE, "9", "why not")
    assert raised.value.choices == ("1 (2026-01-05)", "2 (2026-01-06)")
    for file in nights.files(FEEDS, [MONDAY]):
        Path(file).unlink()
    with pytest.raises(UsageError, match="files of the publication '1' are gone") as raised:
        roll_back(settings, RECIPE, "1", "why not")
    assert raised.value.choices == ("2 (2026-01-06)",)
    assert shown(settings) == (1, 2, 3)


def test_vacuum_takes_nothing_that_is_served_or_can_be_rolled_back_to(
    nights: Lake, settings: Settings, spark: SparkSession
) -> None:
    put_feeds(nights, TUESDAY, FEED | {2: [4, 5, 6]})
    publish(settings, TUESDAY, ["publish_feeds"])
    roll_back(settings, RECIPE, "1", "too many cats")
    # Every file of both publications is of an old version now.
    for day in (MONDAY, TUESDAY):
        put_feeds(nights, day, FEED | {1: [4, 5, 6]})
    day_only = replace(settings, serving=replace(settings.serving, rollback_days=0))
    vacuum(day_only, {FEEDS.name: FEEDS, FALLBACK_FEEDS.name: FALLBACK_FEEDS})
    with pytest.raises(UsageError, match="are gone"):
        roll_back(settings, RECIPE, "2", "it was not that bad")
    shutil.rmtree(settings.store)
    publish(settings, TUESDAY, ["export_feeds"])
    assert shown(settings) == (1, 2, 3)


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server: apt-get install redis-server")
def test_a_redis_that_dies_in_the_night_leaves_what_is_served_and_the_next_try_catches_up(
    nights: Lake, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with redis_server(tmp_path) as (address, process):
        settings = replace(settings, serving=replace(settings.serving, store_uri=address))
        publish(settings, MONDAY, ["export_feeds"])
        assert shown(settings) == (1, 2, 3)
        assert shown(settings, 9, "newcomer") == (2, 1)
        process.kill()
        process.wait()
        with pytest.raises(StoreError, match="does not answer"):
            publish(settings, TUESDAY)
    assert any("is not served yet" in record.getMessage() for record in caplog.records)
    assert actions(nights)[-1] == (2, "published", TUESDAY, 1)
    with redis_server(tmp_path) as (address, _):
        settings = replace(settings, serving=replace(settings.serving, store_uri=address))
        publish(settings, TUESDAY, ["export_feeds"])
        assert current(open_store(address), RECIPE.name) is not None
        assert shown(settings) == (3, 2, 1)
