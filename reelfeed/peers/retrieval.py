"""Peers that propose videos: what run.py needs to read, to write and to choose settings by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

import numpy as np
import pandas as pd
import pyarrow as pa
from lists import completed, table_of
from peer import Peer, Settings
from rows import Rows, held_out, read_rows

NAMES = ("popularity", "implicit_als", "implicit_item_knn", "ease", "rectools_two_stage")
DAYS = 2
"""Last days that settings are chosen by: as many as the test has."""
AT = 100
"""Length of list at which recall is compared."""
MEASURE = f"recall@{AT}"

read = read_rows


def made(peer: Peer, rows: Rows, seed: int) -> pa.Table:
    """Returns one row per user: user_id and videos (best first, 200, never one that the user was shown)."""
    users = rows.ask if peer.serves_new_users else np.intersect1d(rows.ask, rows.known_users)
    return table_of(completed(peer.propose(rows, users, peer.chosen, seed), rows, users), rows, users)


def tried(peer: Peer, rows: Rows, seeds: Sequence[int]) -> Iterator[tuple[Settings, float]]:
    """Yields each of the peer's settings and its mean recall over the seeds, over users known on the earlier days."""
    earlier, truth = held_out(rows, DAYS)
    users = np.intersect1d(earlier.ask, earlier.known_users)
    truth = truth[truth["user_id"].isin(users)]
    for settings in peer.grid:
        lists = [
            completed(peer.propose(earlier, users, settings, seed), earlier, users, AT)
            for seed in (seeds if peer.is_random else seeds[:1])
        ]
        yield settings, fmean(recall(places, truth, earlier, users) for places in lists)


def recall(places: np.ndarray, truth: pd.DataFrame, rows: Rows, users: np.ndarray) -> float:
    """Returns the mean over users of the share of their true videos that stand in their list (0 to 1)."""
    listed = pd.DataFrame({"user_id": np.repeat(users, places.shape[1]), "video_id": rows.videos[places.ravel()]})
    hits = truth.merge(listed[places.ravel() >= 0], how="left", on=["user_id", "video_id"], indicator=True)
    return float((hits["_merge"] == "both").groupby(hits["user_id"]).mean().mean())
