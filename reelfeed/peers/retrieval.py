"""How settings of a peer are chosen: by recall on the last days of the training rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

import numpy as np
import pandas as pd
from lists import completed
from peer import Peer, Settings
from rows import Rows, held_out

DAYS = 2
"""Days that are held out: as many as the test has."""
AT = 100
"""Length of list at which recall is compared."""


def recall(places: np.ndarray, truth: pd.DataFrame, rows: Rows, users: np.ndarray) -> float:
    """Returns the mean over users of the share of their true videos that stand in their list (0 to 1)."""
    listed = pd.DataFrame({"user_id": np.repeat(users, places.shape[1]), "video_id": rows.videos[places.ravel()]})
    hits = truth.merge(listed[places.ravel() >= 0], how="left", on=["user_id", "video_id"], indicator=True)
    return float((hits["_merge"] == "both").groupby(hits["user_id"]).mean().mean())


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
