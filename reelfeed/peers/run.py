"""Fits other people's recommenders on our rows and writes what they say; run with the Python of their environment.

python reelfeed/peers/run.py retrieval --rows FOLDER --out FOLDER --seeds 1 2 3    (.venv-peers)
python reelfeed/peers/run.py ranking --rows FOLDER --out FOLDER --seeds 1 2 3      (.venv-peers-ranking)

For each peer and seed OUT/<peer>-<seed>.parquet. Retrieval: one row per user, user_id and videos (best first, 200,
never one the user was shown). Ranking: one row per asked impression, in their order, score. A peer without randomness
writes the first seed alone. With --tune it prints instead how well each setting does on the last days of the rows, by
which the settings in the peers' files were chosen.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import ranking
import retrieval
from rows import RowsError

KINDS = {"retrieval": retrieval, "ranking": ranking}


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0, or 2 where the rows or the peers' packages are missing."""
    options = _parser().parse_args(arguments)
    kind = KINDS[options.kind]
    os.environ.setdefault("TQDM_DISABLE", "1")  # bars within one fit would bury the lines that tell of each
    try:
        rows = kind.read(options.rows)
        peers = [importlib.import_module(name).PEER for name in options.peers]
    except RowsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f"error: no package {error.name} in {sys.prefix}; make it with: make peers", file=sys.stderr)
        return 2
    for peer in peers:
        if options.tune:
            _tune(kind, peer, rows, options.seeds)
        else:
            _make(kind, peer, rows, options.seeds if peer.is_random else options.seeds[:1], options.out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    for name, kind in KINDS.items():
        one = kinds.add_parser(name, help=kind.__doc__)
        one.add_argument("--rows", type=Path, required=True, help="folder of the .parquet files that the kind reads")
        one.add_argument("--seeds", type=int, nargs="+", default=[1])
        one.add_argument("--peers", nargs="+", choices=kind.NAMES, default=kind.NAMES)
        what = one.add_mutually_exclusive_group(required=True)
        what.add_argument("--out", type=Path, help="folder to write to")
        what.add_argument("--tune", action="store_true", help=f"print {kind.MEASURE} of each setting; write nothing")
    return parser


def _make(kind: ModuleType, peer: Any, rows: object, seeds: Sequence[int], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        start = time.perf_counter()
        table = kind.made(peer, rows, seed)
        seconds = f"{time.perf_counter() - start:.1f}"
        facts = {"peer": peer.name, "seed": str(seed), "seconds": seconds, "settings": json.dumps(peer.chosen)}
        write(out / f"{peer.name}-{seed}.parquet", table, facts)
        print(f"{peer.name}-{seed}: {table.num_rows:,} rows in {seconds} s", flush=True)


def write(path: Path, table: pa.Table, facts: dict[str, str]) -> None:
    """Writes `table` to `path`, whole or not at all; `facts` (the peer, its settings) go into the file's metadata."""
    unfinished = path.with_suffix(".unfinished")
    pq.write_table(table.replace_schema_metadata(facts), unfinished)
    unfinished.replace(path)


def _tune(kind: ModuleType, peer: Any, rows: object, seeds: Sequence[int]) -> None:
    for settings, found in kind.tried(peer, rows, seeds):
        mark = "  chosen" if settings == peer.chosen else ""
        print(f"{peer.name} {json.dumps(settings)}: {found:.4f}{mark}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
