"""A process that hands editions to a store, each in a child that SIGKILLs itself at its Nth use of the store.

Reads lines of address, number, hour and N, separated by spaces, and answers each with the child's exit code. At an hour
other than 0 the edition is there, and some of its feeds are made anew.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Iterable, Sequence

import pyarrow as pa

from core.store import Fields, Store, open_store
from models.handoff import (
    NIGHT,
    POPULAR,
    Edition,
    encoded,
    keep_refreshed,
    parts_written,
    renew,
    segment_field,
    switch,
    write_users,
)

USERS, PARTS = 9, 3


class DyingStore:
    """The store, until it is used for the `steps`th time: before that use, or in the middle of a write."""

    def __init__(self, store: Store, steps: int) -> None:
        self._store, self._left = store, steps

    def _step(self) -> None:
        self._left -= 1
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def _dying(self, batches: Iterable[Fields]) -> Iterable[Fields]:
        for fields in batches:
            half = len(fields) // 2
            yield fields[:half] or fields
            self._step()
            yield fields[half:]

    def write(self, key: str, batches: Iterable[Fields], ttl_seconds: int | None) -> None:
        self._step()
        self._store.write(key, self._dying(batches), ttl_seconds)

    def put(self, key: str, value: str) -> None:
        self._step()
        self._store.put(key, value)

    def written(self, keys: Iterable[str]) -> set[str]:
        self._step()
        return self._store.written(keys)

    def renew(self, keys: Iterable[str], ttl_seconds: int) -> None:
        self._step()
        self._store.renew(keys, ttl_seconds)

    def drop(self, keys: Iterable[str]) -> None:
        self._step()
        self._store.drop(keys)


def edition(number: int) -> Edition:
    return Edition("for_you", number, f"{number:028x}", "2026-01-18T03:00", PARTS, 3600)


def videos(number: int, user: int, hour: int = NIGHT) -> list[int]:
    """What edition `number` holds for `user`, made in the night or at `hour`."""
    return [number * 1000 + 100 * hour + user, user]


def is_active(user: int, hour: int) -> bool:
    """Whether the feed of `user` is made anew at `hour`, always so in the night: nobody of the last part is."""
    return not hour or (user <= hour and user % PARTS < PARTS - 1)


def batches(number: int, left_out: Sequence[int], hour: int = NIGHT) -> list[pa.RecordBatch]:
    """The edition's rows, or those of an hour, without some parts, a part spread over two batches."""
    rows = [
        {"part": part, "user_id": user, "value": encoded(videos(number, user, hour), hour)}
        for part in range(PARTS)
        for user in range(part, USERS, PARTS)
        if part not in left_out and is_active(user, hour)
    ]
    cut = 2
    return [pa.RecordBatch.from_pylist(some) for some in (rows[:cut], rows[cut:]) if some]


def export(store: Store, number: int) -> list[int]:
    """Hands over edition `number` as jobs/export_feeds.py does; returns the parts that it wrote."""
    done = parts_written(store, edition(number))
    renew(store, edition(number), done)
    parts = [part for part, _ in write_users(store, edition(number), batches(number, done))]
    lists = {POPULAR: [number], segment_field("full_active"): [number, number + 1]}
    switch(store, edition(number), [*done, *parts], lists)
    return parts


def refresh(store: Store, number: int, hour: int) -> None:
    """Hands over what was made anew at `hour`, as jobs/export_refresh.py does."""
    parts = [part for part, _ in write_users(store, edition(number), batches(number, (), hour), hour)]
    keep_refreshed(store, edition(number), parts)


if __name__ == "__main__":
    # Forked, since importing takes the time: also what Arrow and the client would load late, in every child.
    importlib.import_module("redis")
    batches(1, ())
    for line in sys.stdin:
        address, *told = line.split()
        number, hour, steps = map(int, told)
        child = os.fork()
        if not child:
            dying = DyingStore(open_store(address), steps)
            if hour:
                refresh(dying, number, hour)
            else:
                export(dying, number)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
