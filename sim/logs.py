"""The simulated world's raw logs on disk: `world.json`, and one folder of Parquet files for each day of arrival.

    <logs_dir>/world.json
    <logs_dir>/day=2026-01-01/{impressions,users,videos,follows,blocked_authors}.parquet
    <logs_dir>/feeds/2026-01-02.parquet                               where the app was given feeds (sim/loop.py)

A day is written aside and renamed into place, so that a folder `day=…` is always whole. Users, videos, follows
and blocked authors are as they stand at the end of the folder's day; impressions are those that arrived on it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, fields
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.config import parse
from core.errors import MissingDataError, UsageError
from sim import arrivals, loop
from sim.blocks import blocks_on
from sim.catalogue import UPLOAD_TYPES, users_on, videos_on
from sim.follows import follows_on
from sim.world import Ints, WorldConfig

ACTIVITY_CLASSES = ("low_active", "middle_active", "high_active", "full_active")
ACTIVITY_BOUNDS = (0.35, 0.6, 0.8)
"""The app's activity class by the probability of opening it on a day; those registered NEW_DAYS or less are 'new'."""
NEW_DAYS = 7

SCHEMAS = {
    "impressions": arrivals.SCHEMA,
    "users": pa.schema(
        [
            ("user_id", pa.int64()),
            ("account_age_days", pa.int32()),
            ("activity", pa.string()),
            ("following_count", pa.int64()),
            ("follower_count", pa.int64()),
        ]
    ),
    "videos": pa.schema(
        [
            ("video_id", pa.int64()),
            ("author_id", pa.int64()),
            ("tag_id", pa.int32()),
            ("tags", pa.list_(pa.int32())),
            ("duration_ms", pa.int64()),
            ("uploaded_on", pa.date32()),
            ("upload_type", pa.string()),
            ("music_id", pa.int64()),
            ("is_visible", pa.bool_()),
            ("is_advert", pa.bool_()),
        ]
    ),
    "follows": pa.schema([("user_id", pa.int64()), ("author_id", pa.int64())]),
    "blocked_authors": pa.schema([("user_id", pa.int64()), ("author_id", pa.int64())]),
}
"""The columns of each file, with the meanings of the table of the same name."""


def write_days(
    config: WorldConfig, logs_dir: str, days: Iterable[date], progress: Callable[[date], None] | None = None
) -> list[date]:
    """Writes those of `days` that are not on disk yet, in order, and returns them; `progress` hears of each when done.

    Raises UsageError for a day before the world's first, and where `logs_dir` holds another world.
    """
    root, wanted = Path(logs_dir), sorted(set(days))
    if wanted and wanted[0] < config.first_day:
        raise UsageError(
            f"the simulated world begins on {config.first_day}: there is no {wanted[0]}",
            where=logs_dir,
            next_step=f"ask for {config.first_day} or later",
        )
    root.mkdir(parents=True, exist_ok=True)
    _settle(config, root)
    absent = [day for day in wanted if not folder(logs_dir, day).exists()]
    for day in absent:
        _write_day(config, root, day)
        if progress:
            progress(day)
    return absent


def load_config(logs_dir: str) -> WorldConfig:
    """Returns the configuration of the world whose logs are in `logs_dir`.

    Raises MissingDataError where there is no world.json, UsageError where it names unknown or mistyped keys.
    """
    path = Path(logs_dir) / "world.json"
    try:
        content = json.loads(path.read_text("utf-8"))
        content["first_day"] = date.fromisoformat(content["first_day"])
    except FileNotFoundError:
        raise MissingDataError(
            "no simulated world here", where=str(path), next_step="reelfeed simulate --to YYYY-MM-DD"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        next_step = f"remove {logs_dir} and simulate again"
        raise UsageError(f"not a world's configuration: {error!r}", where=str(path), next_step=next_step) from None
    return parse(WorldConfig, content, where=str(path))


def days(logs_dir: str) -> list[date]:
    """Returns the days on disk, in order; raises MissingDataError where there is no world."""
    load_config(logs_dir)
    return sorted(date.fromisoformat(path.name.removeprefix("day=")) for path in Path(logs_dir).glob("day=*"))


def folder(logs_dir: str, day: date) -> Path:
    """Returns the folder of the rows that arrived on `day`."""
    return Path(logs_dir) / f"day={day}"


def _settle(config: WorldConfig, root: Path) -> None:
    """Writes world.json where there is none; raises UsageError where it is another world's, naming what differs."""
    path = root / "world.json"
    if not path.exists():
        draft = path.with_name(f".world.json.{os.getpid()}")
        draft.write_text(json.dumps(asdict(config), indent=2, default=str) + "\n", "utf-8")
        draft.replace(path)
        return
    there = load_config(str(root))
    names = [field.name for field in fields(config) if getattr(config, field.name) != getattr(there, field.name)]
    if names:
        differing = ", ".join(f"{name} is {getattr(there, name)}, asked {getattr(config, name)}" for name in names)
        raise UsageError(
            f"another world's logs are here: {differing}",
            where=str(path),
            next_step="ask for the world that is there, or for another folder",
        )


def _write_day(config: WorldConfig, root: Path, day: date) -> None:
    tables = {
        "impressions": arrivals.arrivals_on(config, day, lambda on: loop.given(str(root), on)),
        "users": _users(config, day),
        "videos": _videos(config, day),
        "follows": _follows(config, day),
        "blocked_authors": _blocked_authors(config, day),
    }
    draft = Path(tempfile.mkdtemp(prefix=f".day={day}.", dir=root))
    try:
        for name, table in tables.items():
            pq.write_table(table, draft / f"{name}.parquet")
        draft.chmod(0o755)
        draft.rename(folder(str(root), day))
    except OSError:
        # Another process may have written the same day meanwhile; its content is the same.
        if not folder(str(root), day).exists():
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _users(config: WorldConfig, day: date) -> pa.Table:
    users = users_on(config, day)
    age = day.toordinal() - users.registered
    activity = np.asarray(ACTIVITY_CLASSES)[np.searchsorted(ACTIVITY_BOUNDS, users.activity)]
    activity = np.where(age <= NEW_DAYS, "new", np.where(users.unclassified, "unknown", activity))
    columns = {
        "user_id": users.user_id,
        "account_age_days": age.astype(np.int32),
        "activity": activity.astype(object),
        "following_count": np.bincount(follows_on(config, day).user_id, minlength=len(age)),
        # In this world users post nothing, and so the app knows no followers of theirs.
        "follower_count": pa.nulls(len(age), pa.int64()),
    }
    return pa.table(columns, schema=SCHEMAS["users"])


def _videos(config: WorldConfig, day: date) -> pa.Table:
    videos = videos_on(config, day)
    has_tag = videos.tags >= 0
    ends = np.concatenate([[0], np.cumsum(has_tag.sum(axis=1))])
    columns = {
        "video_id": videos.video_id,
        "author_id": videos.author_id,
        "tag_id": videos.tags[:, 0].astype(np.int32),
        "tags": pa.ListArray.from_arrays(ends.astype(np.int32), videos.tags[has_tag].astype(np.int32)),
        "duration_ms": pa.array(videos.duration_ms, mask=~videos.duration_known),
        "uploaded_on": _dates(videos.uploaded),
        "upload_type": np.asarray(UPLOAD_TYPES, object)[videos.upload_type],
        "music_id": pa.array(videos.music_id, mask=videos.music_id < 0),
        "is_visible": videos.withdrawn > day.toordinal(),
        "is_advert": videos.is_advert,
    }
    return pa.table(columns, schema=SCHEMAS["videos"])


def _follows(config: WorldConfig, day: date) -> pa.Table:
    graph = follows_on(config, day)
    return pa.table({"user_id": graph.user_id, "author_id": graph.author_id}, schema=SCHEMAS["follows"])


def _blocked_authors(config: WorldConfig, day: date) -> pa.Table:
    user, author = blocks_on(config, day)
    return pa.table({"user_id": user, "author_id": author}, schema=SCHEMAS["blocked_authors"])


def _dates(ordinals: Ints) -> pa.Array:
    since_1970 = ordinals - date(1970, 1, 1).toordinal()
    return pa.array(since_1970.astype(np.int32), pa.int32()).cast(pa.date32())
