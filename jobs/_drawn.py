"""Which impressions are drawn where there are too many: a hash of their key says so, the same whoever asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column

PARTS = 1 << 20


def drawn(purpose: str) -> Column:
    """Returns a number in [0, 1) for each impression, another one for each `purpose`."""
    from pyspark.sql import functions as F

    return F.pmod(F.xxhash64(F.lit(purpose), "user_id", "video_id", "shown_at"), F.lit(PARTS)) / PARTS
