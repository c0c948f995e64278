"""A key-value store that feeds are handed to: single values, and hashes of many fields written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from core.errors import ReelfeedError

Fields = Sequence[tuple[str, str]]
"""Fields of a hash with their values."""

STAGED = "~"
"""Ends the key under which a hash is made before it takes its place; no other key may end so."""


class StoreError(ReelfeedError):
    """The store did not answer or lost what was written: the same again may well succeed."""

    exit_code = 70


class Store(Protocol):
    """What a hand-off needs of a store. Keys are words joined by colons. Every method raises StoreError where the store
    does not answer."""

    def get(self, key: str) -> str | None:
        """Returns the value of `key`, None where there is none."""

    def put(self, key: str, value: str) -> None:
        """Gives `key` a value, for good: readers see the old one or the new one."""

    def field(self, key: str, name: str) -> str | None:
        """Returns one field of the hash `key`; None where there is no such field or hash, or its time is over."""

    def write(self, key: str, batches: Iterable[Fields], ttl_seconds: int | None) -> None:
        """Makes the hash `key` of all fields of `batches`, at least one, in place of any there was.

        Readers see nothing of it before all is written. After `ttl_seconds` it is gone; None: it stays.
        """

    def written(self, keys: Iterable[str]) -> set[str]:
        """Returns those of `keys` that are there."""

    def renew(self, keys: Iterable[str], ttl_seconds: int) -> None:
        """Lets the hashes `keys`, written with a time to live, live `ttl_seconds` from now; those gone stay so."""

    def drop(self, keys: Iterable[str]) -> None:
        """Removes `keys`, values or hashes; those that are not there are passed over."""


def open_store(where: str) -> Store:
    """Returns the store at `where`: redis://HOST:PORT/DB (also rediss://), else a folder."""
    if where.startswith(("redis://", "rediss://")):
        from core.redis_store import RedisStore

        return RedisStore(where)
    from core.file_store import FileStore

    return FileStore(where)
