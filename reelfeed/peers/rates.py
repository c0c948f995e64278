"""Long views per showing of whatever a column names, shrunk to the rate of all."""

from __future__ import annotations

import numpy as np
import pandas as pd
from shown import LABEL, Shown


def rates_of(rows: pd.DataFrame, shown: Shown, column: str, prior_strength: float) -> np.ndarray:
    """Returns for each of `rows` the learnt rate of its `column`, float64 (rows,), 0 to 1.

    (long views + prior_strength × overall rate) / (showings + prior_strength); the overall rate for what was never
    seen. A learnt row's own label is in its rate.
    """
    overall = shown.labels.mean()
    seen = shown.learnt.groupby(column)[LABEL].agg(["sum", "count"])
    rates = (seen["sum"] + prior_strength * overall) / (seen["count"] + prior_strength)
    found: np.ndarray = rates.reindex(rows[column]).fillna(overall).to_numpy(np.float64)
    return found
