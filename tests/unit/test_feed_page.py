"""The feed page over real HTTP: a feed is shown with its reasons, and whoever asks wrongly is told what there is."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from core.lake import Lake, spark_schema
from core.settings import load_settings, with_home
from core.table import Table
from core.tables.feeds import TABLE as FEEDS
from core.tables.follows import TABLE as FOLLOWS
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.users import TABLE as USERS
from core.tables.videos import TABLE as VIDEOS
from features.groups.user_activity import GROUP as USER_ACTIVITY
from reelfeed.feed_page import server_of
from reelfeed.thumbnail import thumbnail

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EVE, NIGHT = date(2026, 1, 9), date(2026, 1, 10)
HOSTILE = "<script>alert('tier')</script>"
TERMS = [("long_view", 0.5, 1.0, 0.5), ("not_interested", 0.02, -8.0, -0.16), ("click", 0.7, 0.0, 0.0)]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: str


def publish(lake: Lake, spark: SparkSession, table: Table, rows: list[dict[str, Any]]) -> None:
    """Publishes `rows`, columns that they leave out being null."""
    whole = [tuple(row.get(name) for name in table.column_names) for row in rows]
    days = sorted({row["ds"] for row in rows})
    frame = spark.createDataFrame(whole, spark_schema(table))
    lake.publish(frame, table, days, validate=lambda *_: [], job="test", seconds=lambda: 0.0, reads={})


def slot(user: int, place: int, video: int, ds: date = NIGHT, **changed: Any) -> dict[str, Any]:
    row = {
        "recipe": "for_you",
        "user_id": user,
        "slot": place,
        "video_id": video,
        "value": sum(term[3] for term in TERMS),
        "terms": TERMS,
        "sources": [("als", 7, 0.5), ("fresh", 2, 0.1)],
        "tier": "personal",
        "absent_sources": [],
        "model": "abcdef",
        "recipe_hash": "123456789abc",
        "snapshot_version": f"{ds}-fedcba987654",
        "valid_from": f"{ds + timedelta(days=1)}T03:00",
        "valid_until": f"{ds + timedelta(days=4)}T03:00",
        "ds": ds,
    }
    return row | changed


@pytest.fixture(scope="module")
def port(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server of the page over feeds of three users, of whom 1 follows many and 2 is new."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("REELFEED_HOME", raising=False)
        settings = with_home(load_settings("local"), tmp_path_factory.mktemp("home"))
        lake = Lake(settings.lake)
        popular = {"value": 0.0, "terms": [], "tier": "popular", "model": "", "sources": [("trending", 1, 9.0)]}
        feeds = [slot(user, place, 10 + place) for user in (0, 1) for place in (2, 1)]
        feeds += [slot(2, 1, 11, **popular), slot(0, 1, 12, ds=EVE, tier=HOSTILE)]
        publish(lake, spark, FEEDS, feeds)
        videos = [
            {"video_id": video, "author_id": 5, "tags": [video % 3], "duration_ms": 34_000, "ds": day}
            for video in (11, 12)
            for day in (EVE, NIGHT)
        ]
        publish(lake, spark, VIDEOS, videos)
        users = [
            {"user_id": user, "account_age_days": 100, "activity": "active", "following_count": user % 2, "ds": NIGHT}
            for user in (0, 1, 2, 3)
        ]
        publish(lake, spark, USERS, users)
        publish(lake, spark, FOLLOWS, [{"user_id": 1, "author_id": 5, "ds": NIGHT}])
        watched = {
            "shown_at": datetime(2026, 1, 10, 8, 30, tzinfo=UTC),
            "duration_ms": 34_000,
            "watch_ms": 17_000,
            "shown_on": NIGHT,
        }
        publish(
            lake,
            spark,
            IMPRESSIONS,
            [{"user_id": 1, "video_id": 12, "is_like": True, "is_long_view": True, "ds": NIGHT, **watched}],
        )
        seen = [{"user_id": user, "showings_28d": 2.0, "ds": NIGHT} for user in (0, 1)]
        publish(lake, spark, USER_ACTIVITY.snapshot, seen)
        server = server_of(settings, 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def ask(port: int, path: str = "/", method: str = "GET", host: str = "", **query: Any) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    address = f"{path}?{urlencode(query)}" if query else path
    connection.request(method, address, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    found = Answer(answer.status, dict(answer.getheaders()), answer.read().decode())
    connection.close()
    return found


def cells(body: str, kind: str) -> list[float]:
    return [float(found) for found in re.findall(rf'<td class="{kind}">([+-][\d.]+)</td>', body)]


def test_a_feed_is_shown_with_its_reasons_and_what_the_user_did_before(port: int) -> None:
    answer = ask(port, recipe="for_you", ds=NIGHT, user=1)
    assert answer.status == 200
    assert re.findall(r'id="slot-(\d)"', answer.body) == ["1", "2"], "not in order of slot"
    assert "als <b>#7</b>" in answer.body
    assert f"features <code>{NIGHT}-fedcba987654</code>" in answer.body
    assert "valid from 2026-01-11T03:00 until 2026-01-14T03:00" in answer.body
    assert "Nothing was decided about these feeds" in answer.body
    assert answer.body.count("author 5 <b>followed</b>") == 2
    yesterday = answer.body.partition("<aside>")[2]
    assert "1 videos shown: long view 1, like 1." in yesterday
    assert "watched 50 %" in yesterday
    assert "08:30" in yesterday


def test_the_terms_that_are_shown_add_up_to_the_value_that_is_shown(port: int) -> None:
    body = ask(port, user=1, ds=NIGHT).body
    terms, values = cells(body, "number term"), cells(body, "number")
    assert (len(terms), len(values)) == (6, 2)
    assert values == pytest.approx([sum(terms[:3]), sum(terms[3:])])
    bars = [tuple(map(float, bar)) for bar in re.findall(r'class="(?:up|down)" x="(.+?)" y="2" width="(.+?)"', body)]
    longest, back, _ = bars[:3]
    assert back[0] + back[1] == pytest.approx(longest[0] + longest[1]), "a bar begins where the one before it ended"
    assert back[1] / longest[1] == pytest.approx(0.16 / 0.5), "bars are not to scale"


def test_text_of_the_lake_is_text_on_the_page(port: int) -> None:
    body = ask(port, user=0, ds=EVE).body
    assert "<script" not in body
    assert "&lt;script&gt;" in body


def test_text_of_the_address_is_text_on_the_page(port: int) -> None:
    for name in ("recipe", "ds", "user", "seed"):
        answer = ask(port, **{name: HOSTILE})
        assert answer.status in (400, 404)
        assert "<script" not in answer.body
        assert "&lt;script&gt;" in answer.body


@pytest.mark.parametrize(
    ("query", "there"),
    [
        ({"user": 77}, "3 users, from 0 to 2"),
        ({"ds": NIGHT + timedelta(days=1)}, str(NIGHT)),
        ({"recipe": "../for_you"}, "<li>for_you</li>"),
    ],
)
def test_what_is_not_there_is_answered_by_what_is(port: int, query: dict[str, Any], there: str) -> None:
    answer = ask(port, **query)
    assert answer.status == 404
    assert there in answer.body


@pytest.mark.parametrize(
    "query",
    [
        "user=-1",
        "user=1e3",
        "user=%D9%A1",
        "user=1&user=2",
        "ds=2026-1-9",
        "colour=red",
        "user=1 or 1=1",
        "user",
        "a&" * 9,
    ],
)
def test_what_is_not_understood_is_refused(port: int, query: str) -> None:
    assert ask(port, f"/?{query.replace(' ', '%20')}").status == 400


def test_users_are_found_by_what_they_are_like(port: int) -> None:
    def user(**query: Any) -> str:
        return re.findall(r"<h1>Feed of user (\d+)</h1>", ask(port, **query).body)[0]

    assert user(user="new") == "2"
    assert user(user="following") == "1"
    drawn = [user(user="random", seed=seed) for seed in range(16)]
    assert drawn == [user(user="random", seed=seed) for seed in range(16)]
    assert set(drawn) == {"0", "1", "2"}


def test_the_first_page_is_the_newest_night_and_leads_to_another_user(port: int) -> None:
    body = ask(port).body
    assert f"made the night of {NIGHT}" in body
    assert "seed=1" in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_the_page_is_for_reading_only(port: int, method: str) -> None:
    answer = ask(port, method=method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET"


def test_nothing_from_elsewhere_is_loaded_and_no_script_runs(port: int) -> None:
    answer = ask(port, user=1)
    assert "default-src 'none'; style-src 'self';" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]

    addresses = list[str]()

    class Loaded(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag not in ("script", "img", "iframe", "style")
            named = dict(attrs)
            assert not {"style", "onclick", "onload"} & named.keys(), "blocked by the page's own policy"
            addresses.extend(named[name] or "" for name in ("src", "href", "action") if name in named)

    Loaded().feed(answer.body)
    assert all(address.startswith("/") for address in addresses)
    assert ask(port, "/style.css").headers["Content-Type"].startswith("text/css")


def test_a_name_that_leads_to_loopback_gets_no_feed(port: int) -> None:
    answer = ask(port, host="evil.example")
    assert answer.status == 421
    assert "user" not in answer.body
    assert ask(port, host=f"localhost:{port}").status == 200


def test_only_this_machine_is_listened_to(port: int) -> None:
    import psutil

    here = [one.laddr for one in psutil.Process().net_connections() if one.status == psutil.CONN_LISTEN]
    assert {address.ip for address in here if address.port == port} == {"127.0.0.1"}


def test_a_lake_without_feeds_says_how_to_make_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reelfeed.feed_page import page

    status, body = page(Lake(str(tmp_path)), "")
    assert status == 404
    assert "make run" in body


def test_a_video_always_looks_the_same_and_like_its_tag() -> None:
    assert thumbnail(7, [3]) == thumbnail(7, [3])
    assert thumbnail(7, [3]) != thumbnail(8, [3])
    assert thumbnail(7, [3]).ground == thumbnail(8, [3, 4]).ground != thumbnail(7, [4]).ground
    assert len({thumbnail(7, [tag]) for tag in range(35)}) == 35, "two tags look alike"
