"""The store of one machine: a file per key below one folder, each put in its place by one rename."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.errors import UsageError
from core.store import STAGED, Fields, StoreError

WORD = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class FileStore:
    """Implements core.store.Store. A hash is a file: a line with its time to live (JSON, seconds or null), counted from
    the file's modification, then a line a field: its name as JSON, a tab, its value, which may hold no line break."""

    folder: str

    def get(self, key: str) -> str | None:
        try:
            return self._path(key).read_text("utf-8")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed(error) from error

    def put(self, key: str, value: str) -> None:
        self._replace(key, [value])

    def field(self, key: str, name: str) -> str | None:
        wanted = f"{json.dumps(name)}\t"
        try:
            with self._path(key).open(encoding="utf-8") as file:
                ttl_seconds = json.loads(file.readline())
                if ttl_seconds is not None and time.time() >= os.fstat(file.fileno()).st_mtime + ttl_seconds:
                    return None
                found = next((line for line in file if line.startswith(wanted)), None)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed(error) from error
        return found.removeprefix(wanted).rstrip("\n") if found else None

    def write(self, key: str, batches: Iterable[Fields], ttl_seconds: int | None) -> None:
        lines = (f"{json.dumps(name)}\t{value}\n" for fields in batches for name, value in fields)
        self._replace(key, (line for part in ((f"{json.dumps(ttl_seconds)}\n",), lines) for line in part))

    def written(self, keys: Iterable[str]) -> set[str]:
        return {key for key in keys if self._path(key).exists()}

    def renew(self, keys: Iterable[str], ttl_seconds: int) -> None:
        for path in map(self._path, keys):
            try:
                with path.open(encoding="utf-8") as file:
                    counted_from = time.time() + ttl_seconds - json.loads(file.readline())
                os.utime(path, (counted_from, counted_from))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self._failed(error) from error

    def drop(self, keys: Iterable[str]) -> None:
        folders = set[Path]()
        for key in keys:
            path = self._path(key)
            try:
                path.unlink(missing_ok=True)
                path.with_name(path.name + STAGED).unlink(missing_ok=True)
            except OSError as error:
                raise self._failed(error) from error
            folders |= {path.parent, path.parent.parent} - {Path(self.folder)}
        for folder in sorted(folders, reverse=True):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def _replace(self, key: str, lines: Iterable[str]) -> None:
        path = self._path(key)
        staged = path.with_name(path.name + STAGED)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with staged.open("w", encoding="utf-8") as file:
                file.writelines(lines)
                file.flush()
                # A name must not outlive a loss of power without its content.
                os.fsync(file.fileno())
            staged.replace(path)
        except OSError as error:
            raise self._failed(error) from error

    def _path(self, key: str) -> Path:
        words = key.split(":")
        if not all(WORD.fullmatch(word) for word in words):
            raise UsageError(f"{key!r} is no key of a store", choices=["letters, digits, _ . - joined by colons"])
        return Path(self.folder, *words)

    def _failed(self, error: OSError) -> StoreError:
        return StoreError(
            f"the feed store cannot be used: {error}",
            where=self.folder,
            next_step="make room or mend its permissions, then run export_feeds again; what was served still is",
        )
