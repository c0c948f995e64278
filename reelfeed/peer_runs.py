"""Runs the peers of reelfeed/peers in their environments: files of rows in, files of what they say out."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import MissingDataError, ReelfeedError
from core.settings import ROOT

if TYPE_CHECKING:
    import pyarrow

PYTHON = {
    "retrieval": ROOT / ".venv-peers" / "bin" / "python",
    "ranking": ROOT / ".venv-peers-ranking" / "bin" / "python",
}
"""The interpreter of each kind of peers."""


def check_peers(kinds: Iterable[str]) -> None:
    """Raises MissingDataError unless the environments of `kinds`, keys of PYTHON, are there."""
    missing = [str(PYTHON[kind]) for kind in kinds if not PYTHON[kind].exists()]
    if missing:
        raise MissingDataError("the peers' environment is missing", where=", ".join(missing), next_step="make peers")


def peer_tables(kind: str, rows: Path, out: Path, seeds: Sequence[int]) -> Iterator[tuple[str, pyarrow.Table]]:
    """Yields for every peer of `kind` and each of its seeds "peer <name>" and the table that it wrote into `out`.

    Raises ReelfeedError where a peer fails.
    """
    import pyarrow.parquet as pq

    command = [str(PYTHON[kind]), str(ROOT / "reelfeed" / "peers" / "run.py"), kind, "--rows", str(rows)]
    command += ["--out", str(out), "--seeds", *map(str, seeds)]
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise ReelfeedError("a peer failed; it has said why above", next_step=" ".join(command))
    for path in sorted(out.glob("*.parquet")):
        yield f"peer {path.stem.rpartition('-')[0]}", pq.read_table(path)
