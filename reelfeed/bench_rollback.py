"""`make bench`, the rollback's part: from the command to the store serving earlier feeds, of many users.

Two nights of feeds lie in the lake and, exported, in the default store, a folder; then `reelfeed rollback` runs as an
operator starts it, in a process of its own: once to the night that the store still holds, once after the store has lost
it, so that it is written anew. What is timed is the whole command.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from core.errors import ReelfeedError
from core.lake import PROVENANCE, Lake
from core.settings import ROOT, load_settings
from core.store import open_store
from core.table import Table
from core.tables.fallback_feeds import TABLE as FALLBACK_FEEDS
from core.tables.feeds import TABLE as FEEDS
from core.tables.publications import TABLE as PUBLICATIONS
from core.tables.videos import TABLE as VIDEOS
from jobs._publications import validity
from models.handoff import POPULAR, Edition, current, encoded, switch, write_users

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    from numpy.typing import NDArray

FIRST = date(2026, 1, 10)
RECIPE, USERS, LENGTH, POOL = "for_you", 100_000, 50, 50_000
ASKED_SECONDS = 60


def bench_rollback(runs: int, users: int = USERS) -> str:
    """Measures everything `runs` times and returns the medians as Markdown."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as home:
        make(home, users)
        for _ in range(runs):
            for name, is_lost in (("held", False), ("lost", True)):
                if is_lost:
                    lose(home, 1)
                found.setdefault(name, []).append(_rolled_back(home, 1))
                click.echo(f"  {name}: {found[name][-1]:.1f} s")
                _rolled_back(home, 2)
    rows = [("which the store still holds", "held"), ("which the store has lost", "lost")]
    lines = [f"| rollback to the night before, {users:,} feeds of {LENGTH} videos, | s | asked |", "|---|---|---|"]
    lines += [f"| {told} | {statistics.median(found[name]):.1f} | below {ASKED_SECONDS} |" for told, name in rows]
    return "\n".join(lines)


def _rolled_back(home: str, number: int) -> float:
    """Rolls back to publication `number` as an operator does; returns the seconds. Raises ReelfeedError if it fails."""
    command = [sys.executable, "-m", "reelfeed", "rollback", "--to", str(number), "--reason", "drill"]
    began = time.monotonic()
    environment = os.environ | {"REELFEED_HOME": home}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - began
    now = current(open_store(f"{home}/store"), RECIPE)
    if done.returncode or now is None or now.number != number:
        raise ReelfeedError(f"the rollback failed: {done.stderr.strip()[-300:]}", next_step="reelfeed bench rollback")
    return seconds


def make(home: str, users: int) -> None:
    """Writes two nights of feeds of `users` into a lake and a store below `home`, and their publications."""
    import numpy as np
    import pyarrow as pa

    lake, settings = Lake(f"{home}/lake"), load_settings("local")
    slots = np.tile(np.arange(1, LENGTH + 1, dtype=np.int32), users)
    about = {"video_id": np.arange(POOL), "is_visible": np.ones(POOL, bool), "is_advert": np.zeros(POOL, bool)}
    listed = {"tier": [POPULAR] * LENGTH, "segment": [""] * LENGTH, "slot": slots[:LENGTH], "video_id": slots[:LENGTH]}
    for number, day in enumerate((FIRST, FIRST + timedelta(days=1)), start=1):
        videos = np.random.default_rng(number).integers(0, POOL, users * LENGTH)
        rows = {"user_id": np.repeat(np.arange(users), LENGTH), "slot": slots, "video_id": videos}
        row: dict[str, Any] = {
            "number": number,
            "origin": number,
            "action": "published",
            "reasons": [],
            "feeds_ds": day,
        }
        row |= {"content_hash": f"{number:028x}", "previous": number - 1 or None, **validity(settings, day)}
        row |= {"feeds_version": _put(lake, FEEDS, day, pa.table(rows))}
        row |= {"fallbacks_version": _put(lake, FALLBACK_FEEDS, day, pa.table(listed))}
        _put(lake, VIDEOS, day, pa.table(about))
        _put(lake, PUBLICATIONS, day, pa.Table.from_pylist([row], _decisions()))
        parts, ttl = settings.serving.parts, settings.serving.ttl_hours * 3600
        edition = Edition(RECIPE, number, row["content_hash"], row["valid_until"], parts, ttl)
        store = open_store(f"{home}/store")
        done = [part for part, _ in write_users(store, edition, _feeds(videos.reshape(users, LENGTH), parts))]
        switch(store, edition, done, {POPULAR: list(range(1, LENGTH + 1))})


def _decisions() -> pyarrow.Schema:
    """Returns the types of table publications, which a rollback writes again; recipe and ds aside."""
    import pyarrow as pa

    types = {"string": pa.string(), "int": pa.int32(), "bigint": pa.int64(), "date": pa.date32()}
    types["array<string>"] = pa.list_(pa.string())
    return pa.schema([(column.name, types[column.type]) for column in PUBLICATIONS.columns if column.name != "recipe"])


def _feeds(videos: NDArray[np.int64], parts: int) -> Iterator[pyarrow.RecordBatch]:
    """Yields part, user_id, value of `videos`, (users, LENGTH), one part after the other."""
    import numpy as np
    import pyarrow as pa

    for part in range(parts):
        own = np.arange(part, len(videos), parts)
        columns = [np.full(len(own), part), own, [encoded(feed) for feed in videos[own].tolist()]]
        yield pa.RecordBatch.from_arrays([pa.array(column) for column in columns], ["part", "user_id", "value"])


def _put(lake: Lake, table: Table, day: date, rows: pyarrow.Table) -> int:
    """Writes `rows`, some columns of `table`, as its partition `day`, and returns the version."""
    import pyarrow as pa
    from deltalake import CommitProperties, write_deltalake

    rows = rows.append_column("ds", pa.array([day] * len(rows)))
    if "recipe" in table.column_names:
        rows = rows.append_column("recipe", pa.array([RECIPE] * len(rows)))
    told = {"job": "bench", "seconds": 0.0, "days": {str(day): {"rows": len(rows), "hash": str(day)}}}
    commit = CommitProperties(custom_metadata={PROVENANCE: json.dumps({**told, "reads": {}, "notes": []})})
    write_deltalake(lake.path(table), rows, mode="append", partition_by=["ds"], commit_properties=commit)
    return int(lake.open(table).version())


def lose(home: str, number: int) -> None:
    """Takes the feeds of publication `number` out of the store."""
    store = open_store(f"{home}/store")
    for folder in Path(home, "store", RECIPE).glob(f"{number}-*"):
        store.drop([f"{RECIPE}:{folder.name}:users:{file.name}" for file in (folder / "users").iterdir()])
