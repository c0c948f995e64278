"""Embeddings as files for a server that retrieves online: of each source an index of videos, and users' vectors.

docs/serving.md is the contract, this module its writer and a reader to copy. A version is a folder, made beside the one
that is served; the file `current` names the one to read and is replaced by one rename. Nothing in it is pickled.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ContractError, MissingDataError
from core.store import STAGED

if TYPE_CHECKING:
    import pyarrow as pa

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

CURRENT, MANIFEST = "current", "manifest.json"
ASKING, BEST = 256, 100
LEAST_RECALL = 0.95
"""An index must find this share of the BEST videos that exact search finds for ASKING users."""


@dataclass(frozen=True)
class Vectors:
    """What a source learned: `videos` float32 (videos, dimensions) in the order of the sorted `video_ids`; `anyone`
    (dimensions,) asks for users without a vector, None where the source has nothing for them; `users` are batches of
    user_id and embedding."""

    source: str
    video_ids: Ints
    videos: Floats
    anyone: Floats | None
    users: Iterable[pa.RecordBatch]


@dataclass(frozen=True)
class Index:
    """One source's index as a server loads it; `anyone` as in Vectors."""

    version: str
    video_ids: Ints
    searched: Any
    anyone: Floats | None
    users: Path

    def vector(self, user_id: int) -> Floats | None:
        """Returns the user's vector, else that of anyone."""
        from pyarrow import parquet

        found = parquet.read_table(self.users, filters=[("user_id", "==", user_id)])["embedding"].to_pylist()
        return np.array(found[0], np.float32) if found else self.anyone

    def nearest(self, vector: Floats, count: int) -> tuple[Ints, Floats]:
        """Returns the `count` videos of largest inner product with `vector`, best first, and these products."""
        scores, rows = self.searched.search(vector[None, :], min(count, len(self.video_ids)))
        return self.video_ids[rows[0]], scores[0]


def write(folder: Path, version: str, told: Mapping[str, Any], sources: Iterable[Vectors]) -> dict[str, Any]:
    """Makes `version` of `sources` in `folder` what is served, and returns its manifest, which holds `told` too.

    A version that is there already is only switched to. The one served before stays, and can be named in CURRENT again;
    others are removed. Raises ContractError, and changes nothing that is served, where vectors are broken or an index
    misses too much.
    """
    made, staged = folder / version, folder / f"{version}{STAGED}"
    if not made.exists():
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
        of_sources = {vectors.source: _written(staged, vectors) for vectors in sources}
        (staged / MANIFEST).write_text(
            json.dumps({**told, "version": version, "sources": of_sources}, indent=1), "utf-8"
        )
        for path in staged.iterdir():
            _to_disk(path)
        staged.replace(made)
    before = served(folder)
    if before != version:
        pointer = folder / f"{CURRENT}{STAGED}"
        pointer.write_text(version, "utf-8")
        _to_disk(pointer)
        pointer.replace(folder / CURRENT)
        for path in folder.iterdir():
            if path.is_dir() and path.name not in (version, before):
                shutil.rmtree(path)
    return _manifest(folder, version)


def matrix(embeddings: pa.Array | pa.ChunkedArray, source: str) -> Floats:
    """Returns `embeddings` of `source` as float32 (rows, dimensions).

    Raises ContractError where they are not all of one length, or hold what is no finite number.
    """
    import pyarrow.compute as pc

    if not len(embeddings):
        return np.zeros((0, 1), np.float32)
    lengths = pc.unique(pc.list_value_length(embeddings)).to_pylist()
    found = np.array(pc.list_flatten(embeddings).to_numpy(zero_copy_only=False), np.float32)
    if len(lengths) > 1 or not np.isfinite(found).all():
        raise _broken(source, "embeddings are of several lengths, or not finite")
    return found.reshape(len(embeddings), -1)


def served(folder: Path) -> str | None:
    """Returns the version that `folder` serves, None before the first."""
    try:
        return (folder / CURRENT).read_text("utf-8")
    except FileNotFoundError:
        return None


def served_night(folder: Path) -> str:
    """Returns the night of the version that is served, YYYY-MM-DD; empty before the first."""
    version = served(folder)
    return str(_manifest(folder, version)["night"]) if version else ""


def load(folder: Path, source: str) -> Index:
    """Returns the index of `source` that is served. Raises MissingDataError where there is none."""
    import faiss

    version = served(folder)
    manifest = _manifest(folder, version) if version else {"sources": {}}
    if version is None or source not in manifest["sources"]:
        raise MissingDataError(
            f"no index of source {source!r} is served",
            where=str(folder),
            choices=manifest["sources"],
            next_step="reelfeed run export_index --ds …",
        )
    anyone = manifest["sources"][source]["anyone"]
    return Index(
        version,
        np.load(folder / version / f"{source}.video_ids.npy", allow_pickle=False),
        faiss.read_index(str(folder / version / f"{source}.index")),
        None if anyone is None else np.array(anyone, np.float32),
        folder / version / f"{source}.users.parquet",
    )


def _manifest(folder: Path, version: str) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / version / MANIFEST).read_text("utf-8"))
    return manifest


def _written(folder: Path, vectors: Vectors) -> dict[str, Any]:
    """Writes one source's files, and returns what the manifest says of it."""
    import faiss

    from models.nearest import index

    name, dimensions = vectors.source, vectors.videos.shape[1]
    made = index(vectors.videos)
    asking, users = _users_written(folder / f"{name}.users.parquet", vectors, dimensions)
    recall = _recall(made, vectors.videos, asking)
    if recall < LEAST_RECALL:
        raise _broken(name, f"the index finds {recall:.3f} of the {BEST} best videos, less than {LEAST_RECALL}")
    np.save(folder / f"{name}.video_ids.npy", vectors.video_ids, allow_pickle=False)
    faiss.write_index(made, str(folder / f"{name}.index"))
    return {
        "dimensions": dimensions,
        "videos": len(vectors.video_ids),
        "users": users,
        "index": type(made).__name__,
        "recall": round(recall, 4),
        "anyone": None if vectors.anyone is None else vectors.anyone.tolist(),
    }


def _users_written(path: Path, vectors: Vectors, dimensions: int) -> tuple[Floats, int]:
    """Writes the users' vectors batch by batch; returns the first ASKING of them, and how many there are."""
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([("user_id", pa.int64()), ("embedding", pa.list_(pa.float32()))])
    asking: list[Floats] = [] if vectors.anyone is None else [vectors.anyone[None, :]]
    users = 0
    with parquet.ParquetWriter(path, schema) as file:
        for batch in vectors.users:
            file.write_batch(batch.select(schema.names).cast(schema))
            of_batch = matrix(batch.column("embedding"), vectors.source)
            if batch.num_rows and of_batch.shape[1] != dimensions:
                raise _broken(vectors.source, f"a user's embedding is of {of_batch.shape[1]} numbers, not {dimensions}")
            asking.append(of_batch[: max(ASKING - users, 0)].reshape(-1, dimensions))
            users += batch.num_rows
    return np.concatenate(asking or [np.zeros((0, dimensions), np.float32)]), users


def _recall(made: Any, videos: Floats, asking: Floats) -> float:
    """Returns the share of the best videos by exact search that `made` finds, mean over `asking`; 1 if nobody asks.

    What is found counts by its product: videos of equal products stand in for each other.
    """
    best = min(BEST, len(videos))
    if not len(asking):
        return 1.0
    exact = asking @ videos.T
    least = np.partition(exact, -best, axis=1)[:, -best]
    scores, _ = made.search(asking, best)
    return float(np.mean(scores >= least[:, None] - 1e-4 * np.abs(least[:, None])))


def _broken(source: str, what: str) -> ContractError:
    return ContractError(
        f"source {source!r}: {what}: the index served before is served on",
        where="table embeddings",
        next_step="reelfeed run fit_sources export_index --ds …",
    )


def _to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
