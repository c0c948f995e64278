"""Between our rows and the tables of RecTools."""

from __future__ import annotations

import numpy as np
import pandas as pd
from rectools import Columns
from rectools.dataset import Dataset
from rows import Rows


def dataset_of(rows: Rows, long_view_weight: float) -> Dataset:
    """Returns one interaction per user and video that met, on the day they first met.

    Its weight is 1, and `long_view_weight` more where a long view came of it.
    """
    pairs = rows.pairs
    return Dataset.construct(
        pd.DataFrame(
            {
                Columns.User: pairs["user_id"],
                Columns.Item: pairs["video_id"],
                Columns.Weight: 1 + long_view_weight * (pairs["long_views"] > 0),
                Columns.Datetime: pairs["shown_on"],
            }
        )
    )


def places_of(found: pd.DataFrame, rows: Rows, users: np.ndarray) -> np.ndarray:
    """Returns RecTools' table of recommendations (best first within a user) as users × places, -1 for none."""
    position = found.groupby(Columns.User, sort=False).cumcount().to_numpy()
    places = np.full((len(users), position.max(initial=0) + 1), -1)
    places[np.searchsorted(users, found[Columns.User]), position] = np.searchsorted(rows.videos, found[Columns.Item])
    return places
