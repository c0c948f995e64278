"""What the feed page shows of a feed: cards with pictures and bars of their value, and what the user did before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from reelfeed.feed_reader import Row, UserFeed
from reelfeed.thumbnail import Thumbnail, thumbnail

REACTIONS = {
    "is_long_view": "long view",
    "is_click": "click",
    "is_like": "like",
    "is_follow": "follow",
    "is_comment": "comment",
    "is_share": "share",
    "is_profile_visit": "profile visit",
    "is_not_interested": "not interested",
}


@dataclass(frozen=True)
class Bar:
    """One head's share of a value: prediction × weight = term, drawn from where the terms before it ended.

    `left` and `width` are percent of the room that all bars of the feed share.
    """

    head: str
    prediction: float
    weight: float
    term: float
    left: float
    width: float


@dataclass(frozen=True)
class Video:
    """What is told of a video wherever it stands; `length` is like 0:34, empty where unknown."""

    video_id: int
    picture: Thumbnail
    length: str
    tags: tuple[int, ...]
    author_id: int | None
    is_followed: bool
    age: str


@dataclass(frozen=True)
class Card:
    """One slot. `zero` is where the bars begin, `end` where they come to the value, in percent as the bars' own."""

    row: Row
    video: Video
    bars: tuple[Bar, ...]
    zero: float
    end: float


@dataclass(frozen=True)
class Showing:
    """One impression: the share of the video that was watched (above 1 for loops; None for unknown length)."""

    row: Row
    video: Video
    watched: float | None
    reactions: tuple[str, ...]


def cards(feed: UserFeed) -> list[Card]:
    """Returns the slots in order, their bars all to one scale."""
    reached = [_reached(slot["terms"]) for slot in feed.slots]
    low, high = min(map(min, reached)), max(map(max, reached))
    room = (high - low) or 1.0

    def at(value: float) -> float:
        return 100 * (value - low) / room

    found = []
    for slot, ends in zip(feed.slots, reached, strict=True):
        bars = tuple(
            Bar(**term, left=at(min(before, after)), width=at(max(before, after)) - at(min(before, after)))
            for term, before, after in zip(slot["terms"], ends, ends[1:], strict=False)
        )
        found.append(Card(slot, _video(feed, slot["video_id"]), bars, at(0.0), at(ends[-1])))
    return found


def showings(feed: UserFeed) -> list[Showing]:
    """Returns what the user was shown on the feed's day, in order of time."""
    found = []
    for row in feed.shown:
        watched = row["watch_ms"] / row["duration_ms"] if row["duration_ms"] else None
        reactions = tuple(name for column, name in REACTIONS.items() if row[column])
        found.append(Showing(row, _video(feed, row["video_id"]), watched, reactions))
    return found


def totals(shown: Sequence[Showing]) -> list[tuple[str, int]]:
    """Returns how many of the impressions had each reaction, those that occurred."""
    counts = [(name, sum(name in one.reactions for one in shown)) for name in REACTIONS.values()]
    return [(name, count) for name, count in counts if count]


def _reached(terms: Sequence[dict[str, Any]]) -> list[float]:
    """Returns 0 and the running sums of the terms, the last of which is the value."""
    ends = [0.0]
    for term in terms:
        ends.append(ends[-1] + term["term"])
    return ends


def _video(feed: UserFeed, video_id: int) -> Video:
    about = feed.videos.get(video_id, {})
    tags = tuple(about.get("tags") or ())
    seconds = round((about.get("duration_ms") or 0) / 1000)
    author = about.get("author_id")
    return Video(
        video_id,
        thumbnail(video_id, tags),
        f"{seconds // 60}:{seconds % 60:02}" if about.get("duration_ms") else "",
        tags,
        author,
        author in feed.followed,
        _age(feed.ds, about.get("uploaded_on")),
    )


def _age(ds: date, uploaded_on: date | None) -> str:
    if uploaded_on is None:
        return ""
    days = (ds - uploaded_on).days
    return "new today" if days <= 0 else f"{days} d old"
