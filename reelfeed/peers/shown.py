"""The impressions that peers of the ranking learn from, and those that they are asked to score.

Reads the folder that `make bench-quality` writes; knows nothing of reelfeed, whose packages the peers don't have.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from rows import RowsError, faults_of

KNOWN = ("user_id", "video_id", "author_id", "tag_id", "surface", "shown_hour", "shown_on")
"""What is known of an impression before it is shown."""
LABEL = "is_long_view"
COLUMNS = {"learnt": (*KNOWN, LABEL), "asked": KNOWN}
"""Columns of each file of the folder."""
NO_TAG = -1


@dataclass(frozen=True)
class Shown:
    """Impressions, a row each: KNOWN (whole numbers; NO_TAG for a video without one; shown_on a datetime64).

    learnt: rows of the earlier days, with LABEL (float, 0 or 1). asked: rows of later days, without it.
    """

    learnt: pd.DataFrame
    asked: pd.DataFrame

    @property
    def labels(self) -> np.ndarray:
        """LABEL of the learnt rows, float64 (rows,)."""
        labels: np.ndarray = self.learnt[LABEL].to_numpy(np.float64)
        return labels


def read_shown(folder: Path) -> Shown:
    """Returns the impressions of `folder`. Raises RowsError where a file or a column is missing."""
    faults = [fault for name, columns in COLUMNS.items() for fault in faults_of(folder / f"{name}.parquet", columns)]
    if faults:
        raise RowsError(f"{'; '.join(faults)}; write them with: make bench-quality")
    return Shown(*[_read(folder / f"{name}.parquet", columns) for name, columns in COLUMNS.items()])


def _read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    frame = pq.read_table(path, columns=list(columns)).to_pandas()
    tags = frame["tag_id"].fillna(NO_TAG).astype(np.int64)
    return frame.assign(tag_id=tags, shown_on=pd.to_datetime(frame["shown_on"]))


def last_days_held_out(shown: Shown, days: int) -> tuple[Shown, np.ndarray]:
    """Returns the learnt rows without their last `days` days, those being asked instead, and the labels of these."""
    first = shown.learnt["shown_on"].max() - pd.Timedelta(days=days - 1)
    later = shown.learnt["shown_on"] >= first
    asked = shown.learnt[later]
    return Shown(shown.learnt[~later], asked[list(KNOWN)]), asked[LABEL].to_numpy(np.float64)
