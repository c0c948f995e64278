"""The store that many servers read: Redis, by its own client."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

from core.store import STAGED, Fields, StoreError

ANSWER_SECONDS = 5.0
TRIES, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 3, 0.1, 1.0
STAGED_SECONDS = 24 * 3600
"""After which what a killed writer left half-made is gone."""
AT_ONCE = 1000
"""Keys asked about or dropped in one round trip."""


class RedisStore:
    """Implements core.store.Store; connects at first use."""

    def __init__(self, where: str) -> None:
        self._where = where

    def get(self, key: str) -> str | None:
        with self._answering() as redis:
            return _text(redis.get(key))

    def put(self, key: str, value: str) -> None:
        with self._answering() as redis:
            redis.set(key, value)

    def field(self, key: str, name: str) -> str | None:
        with self._answering() as redis:
            return _text(redis.hget(key, name))

    def write(self, key: str, batches: Iterable[Fields], ttl_seconds: int | None) -> None:
        staged = key + STAGED
        for fields in batches:
            with self._answering() as redis:
                pipeline = redis.pipeline(transaction=False)
                pipeline.hset(staged, items=list(chain.from_iterable(fields)))
                pipeline.expire(staged, STAGED_SECONDS)
                pipeline.execute()
        with self._answering() as redis:
            whole = redis.pipeline(transaction=True)
            whole.persist(staged) if ttl_seconds is None else whole.expire(staged, ttl_seconds)
            whole.rename(staged, key)
            whole.execute()

    def written(self, keys: Iterable[str]) -> set[str]:
        found = set[str]()
        for some in _some(keys):
            with self._answering() as redis:
                pipeline = redis.pipeline(transaction=False)
                for key in some:
                    pipeline.exists(key)
                found |= {key for key, there in zip(some, pipeline.execute(), strict=True) if there}
        return found

    def renew(self, keys: Iterable[str], ttl_seconds: int) -> None:
        for some in _some(keys):
            with self._answering() as redis:
                pipeline = redis.pipeline(transaction=False)
                for key in some:
                    pipeline.expire(key, ttl_seconds)
                pipeline.execute()

    def drop(self, keys: Iterable[str]) -> None:
        for some in _some(keys):
            with self._answering() as redis:
                redis.unlink(*some, *[key + STAGED for key in some])

    @functools.cached_property
    def _redis(self) -> Any:
        from redis import Redis
        from redis.backoff import ExponentialBackoff
        from redis.retry import Retry

        retry = Retry(ExponentialBackoff(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS), TRIES)
        return Redis.from_url(
            self._where, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS, retry=retry
        )

    @contextlib.contextmanager
    def _answering(self) -> Iterator[Any]:
        from redis.exceptions import RedisError

        try:
            yield self._redis
        except RedisError as error:
            # What stands before the @ is a name and password.
            raise StoreError(
                f"the feed store does not answer: {error}",
                where=f"redis at {self._where.rpartition('@')[2].removeprefix('redis://')}",
                next_step="start that Redis, then run export_feeds again; what was served still is where it answers",
            ) from error


def _some(keys: Iterable[str]) -> Iterator[tuple[str, ...]]:
    rest = iter(keys)
    while some := tuple(islice(rest, AT_ONCE)):
        yield some


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8")
