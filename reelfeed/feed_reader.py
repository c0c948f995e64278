"""One user's feed and the day before it, read from the Delta tables without Spark, so that a page is quick."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from core.errors import MissingDataError
from core.lake import Lake
from core.table import Table
from core.tables.feeds import TABLE as FEEDS
from core.tables.follows import TABLE as FOLLOWS
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.users import TABLE as USERS
from core.tables.videos import TABLE as VIDEOS
from features.groups.user_activity import GROUP as USER_ACTIVITY

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.compute as pc

Row = dict[str, Any]

RANDOM, NEW, FOLLOWING = "random", "new", "following"
PICKS = {RANDOM: "a random user", NEW: "a new user", FOLLOWING: "a user who follows many"}
"""Users that are asked for by what they are like."""


@dataclass(frozen=True)
class UserFeed:
    """A user's feed of the night `ds` and what it followed on.

    `slots` are rows of table feeds in order of slot; `user` the row of table users, empty where there is none; `shown`
    the impressions that arrived on `ds`, in order of time; `videos` the row of table videos of every video in both, by
    id; `followed` those of their authors whom the user follows.
    """

    recipe: str
    ds: date
    user_id: int
    user: Row
    slots: list[Row]
    shown: list[Row]
    videos: dict[int, Row]
    followed: frozenset[int]


def feed_days(lake: Lake) -> list[date]:
    """Returns the nights that have feeds, in order; raises MissingDataError where none was published yet."""
    days = lake.days(FEEDS)
    if not days:
        raise MissingDataError("no feeds were published yet", where=lake.path(FEEDS), next_step="make run")
    return days


def pick(lake: Lake, recipe: str, ds: date, who: str, seed: int) -> int:
    """Returns a user who has a feed of that night: drawn by `seed`, or the one that `who` of PICKS describes.

    A new user is the one with the fewest showings in the last 28 days, of equals the one registered last. Raises
    MissingDataError where the recipe has no feeds of that night.
    """
    import numpy as np

    users = _users(lake, recipe, ds)
    if who == RANDOM:
        return int(np.random.default_rng(seed).choice(users))
    about = {row["user_id"]: row for row in _rows(lake, USERS, ds, ["user_id", "account_age_days", "following_count"])}
    if who == FOLLOWING:
        return max(users, key=lambda user: (about.get(user, {}).get("following_count") or 0, -user))
    column = "showings_28d"
    shown = {row["user_id"]: row[column] for row in _rows(lake, USER_ACTIVITY.snapshot, ds, ["user_id", column])}

    def newness(user: int) -> tuple[float, float, int]:
        age = about.get(user, {}).get("account_age_days")
        return shown.get(user, 0.0), np.inf if age is None else age, user

    return min(users, key=newness)


def user_feed(lake: Lake, recipe: str, ds: date, user_id: int) -> UserFeed:
    """Returns the feed; raises MissingDataError where the user has none of that recipe and night."""
    import pyarrow.compute as pc

    own = pc.field("user_id") == user_id
    slots = sorted(_of(lake, FEEDS, ds, own & (pc.field("recipe") == recipe)), key=lambda row: row["slot"])
    if not slots:
        users = _users(lake, recipe, ds)
        raise MissingDataError(
            f"user {user_id} has no feed of recipe {recipe} and night {ds}",
            where="table feeds",
            choices=[f"{len(users):,} users, from {users[0]} to {users[-1]}"],
        )
    shown = sorted(_of(lake, IMPRESSIONS, ds, own), key=lambda row: (row["shown_at"], row["video_id"]))
    videos = _of(lake, VIDEOS, ds, pc.field("video_id").isin({row["video_id"] for row in (*slots, *shown)}))
    user = next(iter(_of(lake, USERS, ds, own)), {})
    authors = pc.field("author_id").isin({row["author_id"] for row in videos})
    followed = frozenset(row["author_id"] for row in _of(lake, FOLLOWS, ds, own & authors))
    return UserFeed(recipe, ds, user_id, user, slots, shown, {row["video_id"]: row for row in videos}, followed)


def _users(lake: Lake, recipe: str, ds: date) -> list[int]:
    """Returns who has a feed, sorted; raises MissingDataError where nobody has."""
    import pyarrow.compute as pc

    first = (pc.field("ds") == ds) & (pc.field("slot") == 1)
    feeds = lake.dataset(FEEDS).to_table(columns=["user_id", "recipe"], filter=first)
    users = feeds.filter(pc.field("recipe") == recipe)["user_id"].to_pylist()
    if not users:
        raise MissingDataError(
            f"recipe {recipe} has no feeds of the night {ds}",
            where="table feeds",
            choices=sorted(feeds["recipe"].unique().to_pylist()),
            next_step="reelfeed tables feeds",
        )
    return sorted(users)


def _of(lake: Lake, table: Table, ds: date, wanted: pc.Expression) -> list[Row]:
    """Returns the rows of `ds` that are `wanted`; none where the table has none.

    A user's rows lie in few of a table's files. Which they are, the columns of `wanted` alone tell, so the others are
    read of those files only.
    """
    import pyarrow.compute as pc

    if not lake.exists(table):
        return []
    of_day = lake.dataset(table).get_fragments(pc.field("ds") == ds)
    files = [file for file in of_day if file.count_rows(filter=wanted)]
    return [row for file in files for row in file.to_table(filter=wanted).to_pylist()]


def _rows(lake: Lake, table: Table, ds: date, columns: Collection[str]) -> list[Row]:
    import pyarrow.compute as pc

    if not lake.exists(table):
        return []
    found: pyarrow.Table = lake.dataset(table).to_table(columns=list(columns), filter=pc.field("ds") == ds)
    rows: list[Row] = found.to_pylist()
    return rows
