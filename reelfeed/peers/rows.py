"""The rows that every peer is fitted on: what was shown to whom up to a day, and the videos that may be proposed.

Reads the folder that `make bench-quality` writes; knows nothing of reelfeed, whose packages the peers don't have.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from scipy.sparse import csr_matrix

COLUMNS = {
    "train": ("user_id", "video_id", "shown_at", "shown_on", "is_long_view", "is_click", "is_like"),
    "pool": ("video_id", "author_id", "tag_id", "duration_ms"),
    "users": ("user_id", "activity"),
    "ask": ("user_id",),
}
"""Columns of each file of the folder."""


class RowsError(Exception):
    """The folder of rows lacks something; the message names all that it lacks and the next command."""


@dataclass(frozen=True)
class Rows:
    """Impressions up to a day and what is known of their users and videos.

    pairs: one row per user and video that met: user_id, video_id (int64), shown_on (datetime64: the first day) and
    long_views (count). pool: one row per video that may be proposed: video_id, author_id, tag_id and duration_ms (both
    nullable). users: one row per user: user_id, activity. ask: ids of the users to propose for, ascending.
    """

    pairs: pd.DataFrame
    pool: pd.DataFrame
    users: pd.DataFrame
    ask: np.ndarray

    @property
    def videos(self) -> np.ndarray:
        """Ids of all videos shown or in the pool, ascending; a video's place in it is what peers speak of."""
        return np.union1d(self.pairs["video_id"].to_numpy(), self.pool["video_id"].to_numpy())

    @property
    def known_users(self) -> np.ndarray:
        """Ids of the users who have been shown anything, ascending."""
        return np.unique(self.pairs["user_id"].to_numpy())


def read_rows(folder: Path) -> Rows:
    """Returns the rows of `folder`. Raises RowsError where a file or a column is missing."""
    faults = [fault for name in COLUMNS for fault in faults_of(folder / f"{name}.parquet", COLUMNS[name])]
    if faults:
        raise RowsError(f"{'; '.join(faults)}; write them with: make bench-quality")
    frames = {
        name: pq.read_table(folder / f"{name}.parquet", columns=list(columns)).to_pandas()
        for name, columns in COLUMNS.items()
    }
    pool = frames["pool"].sort_values("video_id", ignore_index=True)
    return Rows(pairs_of(frames["train"]), pool, frames["users"], np.unique(frames["ask"]["user_id"].to_numpy()))


def faults_of(path: Path, columns: tuple[str, ...]) -> list[str]:
    """Returns what the file lacks, a sentence each: itself, or some of `columns`."""
    if not path.exists():
        return [f"{path} is missing"]
    present = set(pq.read_schema(path).names)
    return [f"{path} has no column {name}" for name in columns if name not in present]


def pairs_of(impressions: pd.DataFrame) -> pd.DataFrame:
    """Returns one row per user and video of `impressions`, dated by the first day they met."""
    impressions = impressions.assign(shown_on=pd.to_datetime(impressions["shown_on"]))
    return impressions.groupby(["user_id", "video_id"], as_index=False).agg(
        shown_on=("shown_on", "min"), long_views=("is_long_view", "sum")
    )


def held_out(rows: Rows, days: int) -> tuple[Rows, pd.DataFrame]:
    """Returns the rows without their last `days` days, and the long views of pairs that first met on those days.

    The held-out pairs are one row per user and video: user_id, video_id. The rows that are left ask for their users.
    """
    first = rows.pairs["shown_on"].max() - pd.Timedelta(days=days - 1)
    later = rows.pairs["shown_on"] >= first
    truth = rows.pairs.loc[later & (rows.pairs["long_views"] > 0), ["user_id", "video_id"]]
    return replace(rows, pairs=rows.pairs[~later], ask=np.unique(truth["user_id"].to_numpy())), truth


def weights(rows: Rows, long_view_weight: float) -> csr_matrix:
    """Returns known users × videos (float32): 1 where they met, `long_view_weight` more for a long view, else 0."""
    users, videos, pairs = rows.known_users, rows.videos, rows.pairs
    values = 1 + long_view_weight * (pairs["long_views"].to_numpy() > 0)
    places = np.searchsorted(users, pairs["user_id"]), np.searchsorted(videos, pairs["video_id"])
    return csr_matrix((values.astype(np.float32), places), shape=(len(users), len(videos)))


def outside_pool(rows: Rows) -> np.ndarray:
    """Returns the places of the videos that were shown but may not be proposed."""
    return np.flatnonzero(~np.isin(rows.videos, rows.pool["video_id"]))


def popular_places(rows: Rows) -> np.ndarray:
    """Returns the places of all videos, most long views of all days first; equals by id."""
    sums = rows.pairs.groupby("video_id")["long_views"].sum().reindex(rows.videos, fill_value=0)
    return np.argsort(-sums.to_numpy(), kind="stable")
