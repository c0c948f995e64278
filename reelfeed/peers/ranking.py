"""Peers that order logged impressions: what run.py needs to read, to write and to choose settings by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

import numpy as np
import pandas as pd
import pyarrow as pa
from peer import RankingPeer, Settings
from shown import Shown, last_days_held_out, read_shown

NAMES = ("tab_and_video_rates", "target_encoded_lightgbm", "factorisation_machine")
MEASURE = "GAUC"
DAYS = 2
"""Last days that settings are chosen by: as many as the test has."""

read = read_shown


def made(peer: RankingPeer, shown: Shown, seed: int) -> pa.Table:
    """Returns one row per asked impression, in their order: score (double), the higher the better."""
    return pa.table({"score": pa.array(peer.score(shown, peer.chosen, seed), pa.float64())})


def tried(peer: RankingPeer, shown: Shown, seeds: Sequence[int]) -> Iterator[tuple[Settings, float]]:
    """Yields each of the peer's settings and its mean GAUC over the seeds, on the last DAYS days of the learnt rows."""
    earlier, labels = last_days_held_out(shown, DAYS)
    users = earlier.asked["user_id"].to_numpy()
    for settings in peer.grid:
        scores = [peer.score(earlier, settings, seed) for seed in (seeds if peer.is_random else seeds[:1])]
        yield settings, fmean(gauc(users, labels, each) for each in scores)


def gauc(users: np.ndarray, labels: np.ndarray, scores: np.ndarray) -> float:
    """Returns the AUC within each user's rows, over users with both labels, weighted by their number of positives."""
    rows = pd.DataFrame({"user": users, "label": labels, "rank": pd.Series(scores).groupby(users).rank().to_numpy()})
    rows["of_positives"] = rows["rank"] * rows["label"]
    sums = rows.groupby("user").agg(positives=("label", "sum"), rows=("label", "size"), ranks=("of_positives", "sum"))
    sums = sums[(sums["positives"] > 0) & (sums["positives"] < sums["rows"])]
    won = sums["ranks"] - sums["positives"] * (sums["positives"] + 1) / 2
    return float((won / (sums["rows"] - sums["positives"])).sum() / sums["positives"].sum())
