"""The world closed into a loop: on a day that was given feeds, the app's main surface shows them in place of its picks.

    <logs_dir>/feeds/2026-01-02.parquet

A user sees the feed from its top, on through all sessions of the day on the main surface; videos that have left the
pool are passed over, and where the feed ends, the app's own picks go on. Other surfaces are not the feed's.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import UsageError
from sim.catalogue import live_on
from sim.policy import Slots
from sim.user import MAIN_SURFACE
from sim.world import Ints, WorldConfig

SCHEMA = pa.schema(
    [
        ("user_id", pa.int64()),
        ("slot", pa.int32()),
        ("video_id", pa.int64()),
        ("is_exploration", pa.bool_()),
        ("propensity", pa.float64()),
    ]
)
"""Columns of given feeds. `propensity`: probability of the video in a slot that exploration filled; null elsewhere."""


@dataclass(frozen=True, eq=False)
class Feeds:
    """The feeds of a day, one entry per slot, in order of user and slot: `rows` has SCHEMA.

    Two are equal only if they are the same object: `given` returns one object for one file.
    """

    rows: pa.Table


def give(logs_dir: str, day: date, rows: pa.Table) -> None:
    """Gives the world in `logs_dir` the feeds, columns of SCHEMA, that its users see on `day`; the same again is fine.

    Raises UsageError where the day has been lived already, unless with the same feeds.
    """
    path = _path(logs_dir, day)
    ordered = rows.select(SCHEMA.names).cast(SCHEMA).sort_by([("user_id", "ascending"), ("slot", "ascending")])
    if path.exists() and pq.read_table(path).equals(ordered):
        return
    lived = Path(logs_dir) / f"day={day}"
    if lived.exists():
        raise UsageError(
            f"users have lived {day} already, with other feeds or none",
            where=str(lived),
            next_step="give feeds to a later day, or begin the world again in another folder",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(ordered, draft)
    draft.replace(path)


def given(logs_dir: str, day: date) -> Feeds | None:
    """Returns the feeds that the world in `logs_dir` was given for `day`, or None."""
    path = _path(logs_dir, day)
    return _read(str(path), path.stat().st_mtime_ns) if path.exists() else None


def with_feeds(config: WorldConfig, day: date, slots: Slots, feeds: Feeds) -> Slots:
    """Returns `slots` of `day`, on the main surface with the videos of `feeds` for as long as a user's feed lasts."""
    live = np.isin(feeds.rows["video_id"].to_numpy(), live_on(config, day))
    rows = feeds.rows.filter(pa.array(live))
    users, begin, length = np.unique(rows["user_id"].to_numpy(), return_index=True, return_counts=True)
    main = np.flatnonzero(slots.surface == MAIN_SURFACE)
    if not len(users) or not len(main):
        return slots
    nth = _nth_of_user(slots.user_id[main])
    whose = np.minimum(np.searchsorted(users, slots.user_id[main]), len(users) - 1)
    fed = (users[whose] == slots.user_id[main]) & (nth < length[whose])
    at, row = main[fed], (begin[whose] + nth)[fed]
    video, is_random, propensity = slots.video_id.copy(), slots.is_random.copy(), slots.propensity.copy()
    video[at] = rows["video_id"].to_numpy()[row]
    is_random[at] = rows["is_exploration"].to_numpy()[row]
    propensity[at] = np.where(is_random[at], rows["propensity"].to_numpy()[row], np.nan)
    return replace(slots, video_id=video, is_random=is_random, propensity=propensity)


def _nth_of_user(user: Ints) -> Ints:
    """Returns 0, 1, … within each run of equal users."""
    begins = np.flatnonzero(np.diff(user, prepend=-1))
    return np.arange(len(user)) - np.repeat(begins, np.diff(np.append(begins, len(user))))


def _path(logs_dir: str, day: date) -> Path:
    return Path(logs_dir) / "feeds" / f"{day}.parquet"


@lru_cache(maxsize=5)
def _read(path: str, _changed: int) -> Feeds:
    return Feeds(pq.read_table(path, partitioning=None))
