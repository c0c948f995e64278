"""A page on this machine alone where one looks at a user's feed: why each video is there, what the user did before."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import click

from core.errors import MissingDataError, ReelfeedError, UsageError
from core.lake import Lake
from core.recipe import recipe_names
from core.settings import Settings
from reelfeed import feed_reader, feed_view, standing, thumbnail

if TYPE_CHECKING:
    from jinja2 import Environment

LOOPBACK = "127.0.0.1"
HEALTH, STYLE = "/health", "/style.css"

HEADERS = {
    # Nothing but what this server itself sends, and no script at all.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
MOST_PARAMETERS = 8
IDLE_SECONDS = 30
WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class Asked:
    """What a request asks for, checked: `user` is an id, or one of feed_reader.PICKS, then drawn by `seed`."""

    recipe: str
    ds: date
    user: int | str
    seed: int


def serve(settings: Settings, port: int) -> None:
    """Serves the page on loopback until Ctrl-C; raises UsageError for a port in use."""
    try:
        server = server_of(settings, port)
    except OSError:
        raise UsageError(
            f"port {port} is in use, the feed page cannot have it",
            where=LOOPBACK,
            next_step="end what listens there, or choose another with --port",
        ) from None
    with server:
        click.echo(f"feeds: http://{LOOPBACK}:{server.server_port}   Ctrl-C stops")
        server.serve_forever()


def server_of(settings: Settings, port: int) -> ThreadingHTTPServer:
    """Returns a server of the page, bound to `port` of loopback (0: any free one); raises OSError for one in use."""
    return ThreadingHTTPServer((LOOPBACK, port), partial(_Handler, Lake(settings.lake)))


def page(lake: Lake, query: str) -> tuple[HTTPStatus, str]:
    """Returns the page that `query` asks for: a feed, or what was wrong and what there is."""
    try:
        days = feed_reader.feed_days(lake)
        asked = checked(query, days)
        who, seed = asked.user, asked.seed
        user = who if isinstance(who, int) else feed_reader.pick(lake, asked.recipe, asked.ds, who, seed)
        feed = feed_reader.user_feed(lake, asked.recipe, asked.ds, user)
    except ReelfeedError as error:
        status = HTTPStatus.NOT_FOUND if isinstance(error, MissingDataError) else HTTPStatus.BAD_REQUEST
        return status, _rendered("missing.html", status=status, error=error, picks=_links({}))
    shown = feed_view.showings(feed)
    told = feed.slots[0]
    found = standing.standing(lake, feed.recipe, feed.ds)
    return HTTPStatus.OK, _rendered(
        "feed.html",
        feed=feed,
        told=told,
        is_served=found.state == standing.SERVED,
        stands=standing.told(found),
        recipes=recipe_names(),
        days=list(reversed(days)),
        picks=_links({"recipe": feed.recipe, "ds": str(feed.ds)}, seed + 1),
        cards=feed_view.cards(feed),
        shown=shown,
        totals=feed_view.totals(shown),
    )


def checked(query: str, days: list[date]) -> Asked:
    """Returns what `query` asks for; what it leaves out is the first recipe, the newest of `days`, a random user.

    Raises UsageError for what is not understood, MissingDataError for a recipe or day that is not there.
    """
    known = {"recipe": recipe_names()[0], "ds": str(days[-1]), "user": feed_reader.RANDOM, "seed": "0"}
    try:
        pairs = parse_qsl(query, max_num_fields=MOST_PARAMETERS, strict_parsing=bool(query))
    except ValueError as error:
        raise UsageError(f"the address is not understood: {error}", choices=known) from None
    strange = sorted({name for name, _ in pairs} - known.keys())
    if strange or len(dict(pairs)) < len(pairs):
        raise UsageError(f"parameters {', '.join(strange) or 'given twice'}", choices=known)
    given = known | dict(pairs)
    if given["recipe"] not in recipe_names():
        raise MissingDataError(f"there is no recipe {given['recipe']!r}", where="conf/feeds/", choices=recipe_names())
    if given["user"] not in feed_reader.PICKS and not WHOLE_NUMBER.fullmatch(given["user"]):
        raise UsageError(f"{given['user']!r} is no user", choices=["a user's number", *feed_reader.PICKS])
    if not WHOLE_NUMBER.fullmatch(given["seed"]):
        raise UsageError(f"seed {given['seed']!r} is no whole number")
    return Asked(
        given["recipe"],
        _day(given["ds"], days),
        given["user"] if given["user"] in feed_reader.PICKS else int(given["user"]),
        int(given["seed"]),
    )


def _day(text: str, days: list[date]) -> date:
    there = {str(day): day for day in days}
    if not DAY.fullmatch(text):
        raise UsageError(f"{text!r} is not a day like {days[-1]}")
    if text not in there:
        raise MissingDataError(f"there are no feeds of the night {text}", where="table feeds", choices=there)
    return there[text]


def _links(kept: Mapping[str, str], seed: int = 0) -> list[tuple[str, str]]:
    """Returns address and words of every pick, with the parameters `kept`."""
    return [
        ("/?" + urlencode({**kept, "user": who, **({"seed": seed} if who == feed_reader.RANDOM else {})}), words)
        for who, words in feed_reader.PICKS.items()
    ]


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("reelfeed"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _rendered(name: str, **shown: Any) -> str:
    return _templates().get_template(name).render(**shown, width=thumbnail.WIDTH, height=thumbnail.HEIGHT)


class _Handler(BaseHTTPRequestHandler):
    """Answers GET from this machine alone; every other method is refused."""

    server_version, sys_version = "reelfeed", ""
    timeout = IDLE_SECONDS

    def __init__(self, lake: Lake, *request: Any) -> None:
        self._lake = lake
        super().__init__(*request)

    def __getattr__(self, name: str) -> Any:
        # The server looks for a method of the name do_ and the request's: of all but GET it finds a refusal.
        if name.startswith("do_"):
            return self._refuse
        raise AttributeError(name)

    def do_GET(self) -> None:
        # Another site's name may lead to loopback: what its page reads here must not be a feed.
        if (self.headers.get("Host") or "").partition(":")[0] not in (LOOPBACK, "localhost"):
            self._send(HTTPStatus.MISDIRECTED_REQUEST, "this server answers to its own address alone", "text/plain")
            return
        asked = urlsplit(self.path)
        try:
            if asked.path == "/":
                self._send(*page(self._lake, asked.query), "text/html")
            elif asked.path == STYLE:
                self._send(HTTPStatus.OK, _rendered("style.css"), "text/css")
            elif asked.path == HEALTH:
                self._send(HTTPStatus.OK, "ok", "text/plain")
            else:
                self._send(HTTPStatus.NOT_FOUND, "no such page; feeds are at /", "text/plain")
        except (BrokenPipeError, ConnectionResetError):
            pass  # whoever asked has left
        except Exception:
            traceback.print_exc()
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, "this page failed; the server's log says why", "text/plain")

    def _refuse(self) -> None:
        self.close_connection = True
        self._send(HTTPStatus.METHOD_NOT_ALLOWED, "this page is for reading: GET only", "text/plain")

    def _send(self, status: HTTPStatus, text: str, kind: str) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET")
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
