"""The contract of docs/serving.md, over the file store and over a real Redis: readers see one edition, whole."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from killed_export import PARTS, USERS, batches, edition, export, is_active, refresh, videos

from core.errors import MissingDataError, UsageError
from core.redis_store import RedisStore
from core.settings import ROOT
from core.store import Store, StoreError, open_store
from models.handoff import (
    NIGHT,
    Served,
    current,
    look_up,
    parts_written,
    renew,
    retire,
    switch,
    withdraw,
    withdrawn,
    write_users,
)
from reelfeed.redis_server import redis_server

OLD, NEW = 1, 2
EARLIER, LATER = 3, 7
HAS_REDIS = shutil.which("redis-server") is not None
NEEDS_REDIS = pytest.mark.skipif(not HAS_REDIS, reason="no redis-server on the PATH: apt-get install redis-server")


@pytest.fixture(scope="module")
def redis_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as (address, _):
        yield address


@pytest.fixture(params=["file", pytest.param("redis", marks=NEEDS_REDIS)])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "file":
        return str(tmp_path / "store")
    where: str = request.getfixturevalue("redis_address")
    _client(where).flushall()
    return where


def _client(address: str) -> object:
    return RedisStore(address)._redis


def whole(store: Store) -> int:
    """Returns the number of the edition that all readers see; fails where some see another or nothing."""
    told = current(store, "for_you")
    assert told is not None
    number = told.number
    for user in range(USERS):
        assert look_up(store, "for_you", user) == Served(
            edition(number).version, "personal", tuple(videos(number, user))
        )
    assert look_up(store, "for_you", 99, "full_active").videos == (number, number + 1)
    return number


def test_a_user_gets_their_feed_else_their_segment_s_else_the_popular_one(address: str) -> None:
    store = open_store(address)
    with pytest.raises(MissingDataError, match="no feeds of recipe 'for_you'"):
        look_up(store, "for_you", 1)
    assert export(store, OLD) == list(range(PARTS))
    assert whole(store) == OLD
    version = edition(OLD).version
    assert look_up(store, "for_you", USERS, "full_active") == Served(version, "segment", (OLD, OLD + 1))
    assert look_up(store, "for_you", USERS, "newcomer") == Served(version, "popular", (OLD,))
    assert look_up(store, "for_you", USERS) == Served(version, "popular", (OLD,))
    assert current(store, "for_you") == edition(OLD)
    assert current(store, "another") is None


def test_a_second_hand_off_writes_no_feed_again(address: str) -> None:
    store = open_store(address)
    export(store, OLD)
    assert export(store, OLD) == []
    assert whole(store) == OLD


@pytest.fixture(scope="module")
def exporter() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(Path(__file__).with_name("killed_export.py"))]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield process
    process.communicate()


def test_killed_at_any_step_readers_see_the_old_or_the_new_edition_and_the_rest_is_made_up(
    address: str, exporter: subprocess.Popen[str]
) -> None:
    assert exporter.stdin is not None
    assert exporter.stdout is not None
    store, resumed, ended = open_store(address), set[int](), -signal.SIGKILL
    for step in range(1, 100):
        export(store, OLD)
        store.drop(edition(NEW).keys)
        print(address, NEW, NIGHT, step, file=exporter.stdin, flush=True)
        ended = int(exporter.stdout.readline())
        assert whole(store) == (OLD if ended else NEW), f"killed at step {step}"
        before = parts_written(store, edition(NEW))
        resumed.add(len(before))
        assert export(store, NEW) == [part for part in range(PARTS) if part not in before]
        assert whole(store) == NEW
        if not ended:
            break
        assert ended == -signal.SIGKILL
    assert not ended
    assert resumed == set(range(PARTS + 1)), "it was killed after each part"


def test_a_feed_made_anew_is_read_in_place_of_the_night_s_and_with_its_edition_alone(address: str) -> None:
    store = open_store(address)
    export(store, OLD)
    refresh(store, OLD, EARLIER)
    for user in range(USERS):
        hour = EARLIER if is_active(user, EARLIER) else NIGHT
        seen = Served(edition(OLD).version, "personal", tuple(videos(OLD, user, hour)), hour)
        assert look_up(store, "for_you", user) == seen
    assert look_up(store, "for_you", USERS, "full_active").tier == "segment"
    export(store, NEW)
    assert whole(store) == NEW
    export(store, OLD)
    assert whole(store) == OLD, "a rollback does not bring back what a day has left of it"


def test_killed_at_any_step_of_an_hour_every_user_has_a_whole_feed_of_that_hour_or_the_one_before(
    address: str, exporter: subprocess.Popen[str]
) -> None:
    assert exporter.stdin is not None
    assert exporter.stdout is not None
    store, mixed, ended = open_store(address), False, -signal.SIGKILL
    for step in range(1, 100):
        export(store, NEW)
        export(store, OLD)
        refresh(store, OLD, EARLIER)
        before = [look_up(store, "for_you", user) for user in range(USERS)]
        print(address, OLD, LATER, step, file=exporter.stdin, flush=True)
        ended = int(exporter.stdout.readline())
        found = [look_up(store, "for_you", user) for user in range(USERS)]
        refresh(store, OLD, LATER)
        after = [look_up(store, "for_you", user) for user in range(USERS)]
        assert all(one in (old, new) for one, old, new in zip(found, before, after, strict=True)), f"step {step}"
        mixed |= found not in (before, after)
        if not ended:
            assert found == after
            break
        assert ended == -signal.SIGKILL
    assert not ended
    assert mixed, "it was killed between two parts"
    assert {served.hour for served in after} == {NIGHT, LATER}


def test_what_an_hour_has_no_feed_for_goes_back_to_the_night_s(address: str) -> None:
    store = open_store(address)
    export(store, OLD)
    refresh(store, OLD, LATER)
    refresh(store, OLD, 1)
    assert {user: look_up(store, "for_you", user).hour for user in range(USERS)} == {
        user: 1 if is_active(user, 1) else NIGHT for user in range(USERS)
    }


def test_a_retired_edition_leaves_nothing_and_the_served_one_stays(address: str) -> None:
    store = open_store(address)
    export(store, OLD)
    refresh(store, OLD, EARLIER)
    export(store, NEW)
    retire(store, [edition(OLD), edition(3)])
    assert whole(store) == NEW
    assert store.written([*edition(OLD).keys, *edition(OLD).refreshed_keys]) == set()
    assert store.written(edition(NEW).keys) == set(edition(NEW).keys)


def test_when_its_time_is_over_a_feed_gives_way_to_the_lists(address: str) -> None:
    store = open_store(address)
    export(store, OLD)
    refresh(store, OLD, EARLIER)
    key = edition(OLD).users_key(1)
    if address.startswith("redis://"):
        assert 3500 < _client(address).ttl(key) <= 3600  # type: ignore[attr-defined]
        assert _client(address).ttl(edition(OLD).fallback_key) == -1, "lists outlive feeds"  # type: ignore[attr-defined]
        _client(address).expireat(key, 1)  # type: ignore[attr-defined]
    else:
        file = Path(address, *key.split(":"))
        os.utime(file, (file.stat().st_mtime - 3600,) * 2)
    assert look_up(store, "for_you", 1, "full_active").tier == "segment", "with what was made anew of it"
    assert look_up(store, "for_you", 2).tier == "personal"


def test_parts_that_are_still_there_live_on_as_new_ones_and_what_is_gone_stays_gone(address: str) -> None:
    store = open_store(address)
    export(store, OLD)
    key, lost = edition(OLD).users_key(1), edition(OLD).users_key(2)
    store.drop([lost])
    if address.startswith("redis://"):
        _client(address).expire(key, 9)  # type: ignore[attr-defined]
    else:
        file = Path(address, *key.split(":"))
        os.utime(file, (file.stat().st_mtime - 3600,) * 2)
    renew(store, edition(OLD), [1, 2])
    assert look_up(store, "for_you", 1).tier == "personal"
    assert store.written([lost]) == set()
    if address.startswith("redis://"):
        assert 3500 < _client(address).ttl(key) <= 3600  # type: ignore[attr-defined]


def test_what_was_withdrawn_is_left_out_of_every_tier_until_it_is_named_no_more(address: str) -> None:
    store = open_store(address)
    export(store, OLD)
    withdraw(store, "for_you", {1, OLD})
    assert withdrawn(store, "for_you") == {1, OLD}
    assert look_up(store, "for_you", 1).videos == (1001,)
    assert look_up(store, "for_you", 99, "full_active").videos == (OLD + 1,)
    assert look_up(store, "for_you", 99).videos == ()
    withdraw(store, "for_you", [])
    assert whole(store) == OLD


def test_an_edition_that_lost_a_part_is_not_switched_to(address: str) -> None:
    store = open_store(address)
    export(store, OLD)
    store.write(edition(NEW).users_key(0), [[("0", "{}")]], 3600)
    with pytest.raises(StoreError, match="1 of 2 parts that were written are gone"):
        switch(store, edition(NEW), [0, 1], {})
    assert whole(store) == OLD


def test_an_edition_of_other_parts_is_another(address: str) -> None:
    store = open_store(address)
    export(store, OLD)
    assert parts_written(store, replace(edition(OLD), parts=PARTS + 1)) == []


@NEEDS_REDIS
def test_a_redis_that_dies_half_way_through_an_export_has_the_old_edition_and_the_next_try_ends_it(
    tmp_path: Path,
) -> None:
    kept = ("--appendonly", "yes", "--appendfsync", "always")
    with redis_server(tmp_path, *kept) as (address, process):
        store = open_store(address)
        export(store, OLD)

        def dying() -> Iterator[pa.RecordBatch]:
            first, second = batches(NEW, ())
            yield first
            process.kill()
            process.wait()
            yield second

        with pytest.raises(StoreError, match="does not answer"):
            list(write_users(store, edition(NEW), dying()))
    with redis_server(tmp_path, *kept) as (address, _):
        store = open_store(address)
        assert whole(store) == OLD
        assert parts_written(store, edition(NEW)) == [], "half a part counts as one"
        assert export(store, NEW) == list(range(PARTS))
        assert whole(store) == NEW


@NEEDS_REDIS
def test_a_redis_that_died_is_one_clear_error_without_its_password(tmp_path: Path) -> None:
    with redis_server(tmp_path) as (address, process):
        store = open_store(address.replace("redis://", "redis://user:secret@"))
        plain = open_store(address)
        export(plain, OLD)
        process.kill()
        process.wait()
        with pytest.raises(StoreError, match="does not answer") as raised:
            export(plain, NEW)
        assert raised.value.exit_code == 70, "Airflow is to try again"
        with pytest.raises(StoreError) as raised:
            store.get("for_you:current")
        assert "secret" not in str(raised.value)
        assert "127.0.0.1" in raised.value.where


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file in its place", "utf-8")
    with pytest.raises(StoreError, match="cannot be used") as raised:
        export(open_store(str(tmp_path / "store")), OLD)
    assert "export_feeds" in raised.value.next_step


@pytest.mark.parametrize("key", ["../outside", "a:..:b", "a:/etc", "a::b", ""])
def test_no_key_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    with pytest.raises(UsageError, match="no key"):
        open_store(str(tmp_path)).put(key, "x")
