"""Buckets of video length: within one, watch times can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.table import Column

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EDGES_SECONDS = (5, 8, 11, 15, 20, 30, 45, 60, 90, 180)
"""Lower edge of every bucket but the first."""

UNKNOWN = len(EDGES_SECONDS) + 1
"""Where a bucket must be a number: that of videos of unknown length, after all others."""

DURATION_BUCKET = Column(
    "duration_bucket",
    "int",
    "Bucket of the video's length: the number of EDGES_SECONDS that it reaches; null where unknown.",
    nullable=True,
    minimum=0,
)

DURATION_BUCKET_SQL = (
    "if(duration_ms is null, null, "
    + " + ".join(f"if(duration_ms >= {edge * 1000}, 1, 0)" for edge in EDGES_SECONDS)
    + ")"
)


def duration_buckets(seconds: NDArray[np.floating]) -> NDArray[np.int64]:
    """Returns the bucket (rows,) of each length in seconds, UNKNOWN where it is NaN."""
    import numpy as np

    bucket = np.searchsorted(EDGES_SECONDS, seconds, side="right")
    return np.where(np.isnan(seconds), UNKNOWN, bucket).astype(np.int64)
