"""How a day's impressions reach the logs: some late, some twice, some damaged."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sim.catalogue import videos_on
from sim.day import Impressions, impressions_on
from sim.loop import Feeds
from sim.world import Ints, WorldConfig, generator

LATEST_DAYS = 3
"""A late row arrives one to this many days after it was shown."""
FAULTS = ("user_missing", "watch_negative", "video_unknown", "shown_in_future")
UNKNOWN_VIDEO_OFFSET = 1_000_000_000
FUTURE = timedelta(days=30)

SCHEMA = pa.schema(
    [
        ("user_id", pa.int64()),
        ("video_id", pa.int64()),
        ("shown_at", pa.timestamp("us", tz="UTC")),
        ("shown_on", pa.date32()),
        ("shown_hour", pa.int32()),
        ("surface", pa.int32()),
        ("session", pa.int32()),
        ("position", pa.int32()),
        ("is_random", pa.bool_()),
        ("propensity", pa.float64()),
        ("duration_ms", pa.int64()),
        ("watch_ms", pa.int64()),
        *[
            (f"is_{signal}", pa.bool_())
            for signal in (
                "click",
                "long_view",
                "like",
                "follow",
                "comment",
                "share",
                "profile_visit",
                "not_interested",
            )
        ],
    ]
)
"""Columns of raw impressions, with the meanings of table impressions; `session` is the session of the day, from 1."""


def arrivals_on(config: WorldConfig, day: date, feeds_on: Callable[[date], Feeds | None] = lambda _: None) -> pa.Table:
    """Returns the raw impressions that arrive on `day`, in order of `shown_at`, shown then or up to LATEST_DAYS before.

    A function of its arguments alone, `feeds_on` being the feeds that the app had on a day. Columns: SCHEMA.
    Raises UsageError for a day before the world's first.
    """
    back = range(min(LATEST_DAYS, max((day - config.first_day).days, 0)) + 1)
    shown_on = [day - timedelta(days=days) for days in back]
    parts = [_shown(config, each, impressions_on(config, each, feeds_on(each)), (day - each).days) for each in shown_on]
    arrived = pa.concat_tables(parts)
    rng = generator(config, "arrivals", day)
    fault = np.where(rng.random(len(arrived)) < config.broken_share, rng.integers(len(FAULTS), size=len(arrived)), -1)
    twice = np.flatnonzero(rng.random(len(arrived)) < config.duplicate_share)
    damaged = _damaged(arrived, fault)
    every = pa.concat_tables([damaged, damaged.take(twice)])
    return every.sort_by([("shown_at", "ascending"), ("user_id", "ascending"), ("video_id", "ascending")])


def _shown(config: WorldConfig, day: date, seen: Impressions, delay: int) -> pa.Table:
    """Returns the rows of `seen`, shown on `day`, that arrive `delay` days later."""
    rng, rows = generator(config, "delays", day), len(seen.shown_ms)
    late = rng.random(rows) < config.late_share
    delays = np.where(late, rng.integers(1, LATEST_DAYS + 1, size=rows), 0)
    return _raw(config, day, seen, np.flatnonzero(delays == delay))


def _raw(config: WorldConfig, day: date, seen: Impressions, rows: Ints) -> pa.Table:
    """Returns `rows` of the impressions `seen` of `day` as the app logs them."""
    videos, slots, reactions = videos_on(config, day), seen.slots, seen.reactions
    video, shown_ms, is_random = slots.video_id[rows], seen.shown_ms[rows], slots.is_random[rows]
    midnight_us = (day - date(1970, 1, 1)).days * 86_400_000_000
    columns = {
        "user_id": slots.user_id[rows],
        "video_id": video,
        "shown_at": pa.array(midnight_us + shown_ms * 1_000, pa.timestamp("us", tz="UTC")),
        "shown_on": pa.repeat(pa.scalar(day, pa.date32()), len(rows)),
        "shown_hour": (shown_ms // 3_600_000).astype(np.int32),
        "surface": slots.surface[rows].astype(np.int32),
        "session": (slots.session[rows] + 1).astype(np.int32),
        "position": slots.position[rows].astype(np.int32),
        "is_random": is_random,
        "propensity": pa.array(slots.propensity[rows], mask=~is_random),
        "duration_ms": pa.array(videos.duration_ms[video], mask=~videos.duration_known[video]),
        "watch_ms": reactions.watch_ms[rows],
        "is_click": reactions.is_click[rows],
        "is_long_view": reactions.is_long_view[rows],
        "is_like": reactions.is_like[rows],
        "is_follow": seen.is_follow[rows],
        "is_comment": reactions.is_comment[rows],
        "is_share": reactions.is_share[rows],
        "is_profile_visit": reactions.is_profile_visit[rows],
        "is_not_interested": reactions.is_not_interested[rows],
    }
    return pa.table(columns, schema=SCHEMA)


def _damaged(rows: pa.Table, fault: Ints) -> pa.Table:
    """Returns `rows` with fault FAULTS[f] in each row whose `fault` is f; -1 leaves a row whole."""
    in_future = pc.add(rows["shown_at"], pa.scalar(FUTURE, pa.duration("us")))
    changes = {
        "user_id": (0, pa.scalar(None, pa.int64())),
        "watch_ms": (1, pc.subtract(-1, rows["watch_ms"])),
        "video_id": (2, pc.add(rows["video_id"], UNKNOWN_VIDEO_OFFSET)),
        "shown_at": (3, in_future),
        "shown_on": (3, pc.cast(in_future, pa.date32())),
    }
    for name, (kind, broken) in changes.items():
        column = pc.if_else(pa.array(fault == kind), broken, rows[name])
        rows = rows.set_column(rows.schema.get_field_index(name), SCHEMA.field(name), column)
    return rows
