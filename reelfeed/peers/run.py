"""Fits other people's recommenders on our rows and writes what they propose; run with the Python of .venv-peers.

python reelfeed/peers/run.py --rows FOLDER --out FOLDER --seeds 1 2 3

For each peer and seed OUT/<peer>-<seed>.parquet: one row per user, user_id and videos (best first, 200, never one the
user was shown). A peer without randomness writes the first seed alone. With --tune it prints instead the recall of
each setting on the last days of the rows, by which the settings in the peers' files were chosen.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from lists import completed, write_lists
from peer import Peer
from rows import Rows, RowsError, read_rows
from tuning import tried

NAMES = ("popularity", "implicit_als", "implicit_item_knn", "ease", "rectools_two_stage")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0, or 2 where the rows or the peers' packages are missing."""
    options = _parser().parse_args(arguments)
    try:
        rows = read_rows(options.rows)
        peers = [importlib.import_module(name).PEER for name in options.peers]
    except RowsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f"error: no package {error.name} in {sys.prefix}; make it with: make peers", file=sys.stderr)
        return 2
    for peer in peers:
        if options.tune:
            _tune(peer, rows, options.seeds)
        else:
            _propose(peer, rows, options.seeds if peer.is_random else options.seeds[:1], options.out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, required=True, help="folder of train, pool, users and ask .parquet")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--peers", nargs="+", choices=NAMES, default=NAMES)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, help="folder to write to")
    what.add_argument("--tune", action="store_true", help="print the validation recall of each setting; write nothing")
    return parser


def _propose(peer: Peer, rows: Rows, seeds: Sequence[int], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    users = rows.ask if peer.serves_new_users else np.intersect1d(rows.ask, rows.known_users)
    for seed in seeds:
        start = time.perf_counter()
        places = completed(peer.propose(rows, users, peer.chosen, seed), rows, users)
        seconds = f"{time.perf_counter() - start:.1f}"
        facts = {"peer": peer.name, "seed": str(seed), "seconds": seconds, "settings": json.dumps(peer.chosen)}
        write_lists(out / f"{peer.name}-{seed}.parquet", places, rows, users, facts)
        print(f"{peer.name}-{seed}: {len(users):,} users in {seconds} s", flush=True)


def _tune(peer: Peer, rows: Rows, seeds: Sequence[int]) -> None:
    for settings, recall in tried(peer, rows, seeds):
        mark = "  chosen" if settings == peer.chosen else ""
        print(f"{peer.name} {json.dumps(settings)}: {recall:.4f}{mark}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
