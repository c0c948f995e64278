"""What an impression's session had shown before it: known when the next video is asked for, never when a feed is made.

A session ends where its user sees nothing for GAP_MINUTES. Every column looks at strictly earlier impressions alone:
one of the same moment takes a place among the last RECENT, but is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from features.measures import SKIP_MS

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

GAP_MINUTES = 30
RECENT = 5
"""Impressions of the session looked back at."""

UNKNOWN = float("nan")
NEUTRAL = {
    "session_position": 1.0,
    "session_pause": UNKNOWN,
    "session_break": UNKNOWN,
    "session_same_tag": 0.0,
    "session_skips": 0.0,
    "session_long_views": 0.0,
}
"""The columns, and what a feed is scored with: the first video of a session, after a pause of unknown length."""


def with_session(impressions: DataFrame) -> DataFrame:
    """Returns `impressions` with the columns of NEUTRAL; their meanings stand in features/groups/session.py.

    Needs user_id, video_id, shown_at, tag_id, watch_ms and is_long_view, and all rows of a session; simultaneous rows
    of a user do not see each other.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    of_user = Window.partitionBy("user_id").orderBy("micros")
    of_session = Window.partitionBy("user_id", "session").orderBy("micros")
    first_to = (Window.unboundedPreceding, 0)
    before = (Window.unboundedPreceding, -1)
    in_order = Window.partitionBy("user_id", "session").orderBy("micros", "video_id")
    is_skip = (F.col("watch_ms") < SKIP_MS) & ~F.col("is_long_view")
    one = F.struct("micros", "tag_id", "is_long_view", is_skip.alias("is_skip"))
    timed = impressions.withColumn("micros", F.unix_micros("shown_at"))
    timed = timed.withColumn("pause", (F.col("micros") - F.max("micros").over(of_user.rangeBetween(*before))) / 1e6)
    begins = F.coalesce(F.col("pause") > GAP_MINUTES * 60, F.lit(True)).cast("int")
    timed = timed.withColumn("session", F.sum(begins).over(of_user.rangeBetween(*first_to)))
    latest = [F.lag(one, back).over(in_order) for back in range(1, RECENT + 1)]
    seen = timed.withColumns(
        {
            "session_position": F.count(F.lit(1)).over(of_session.rangeBetween(*before)) + 1,
            "session_break": F.first("pause").over(of_session.rangeBetween(*first_to)),
            **{f"latest_{back}": other for back, other in enumerate(latest, start=1)},
        }
    )

    def among_latest(holds: Callable[[Column], Column]) -> Column:
        """Returns for how many of the latest impressions, those that are truly earlier, `holds` is true."""
        others = [F.col(f"latest_{back}") for back in range(1, RECENT + 1)]
        return reduce(
            add,
            [F.when((one["micros"] < F.col("micros")) & holds(one), 1.0).otherwise(0.0) for one in others],
        )

    return seen.withColumns(
        {
            "session_pause": F.when(F.col("session_position") > 1, F.col("pause")),
            "session_same_tag": among_latest(lambda other: other["tag_id"] == F.col("tag_id")),
            "session_skips": among_latest(lambda other: other["is_skip"]),
            "session_long_views": among_latest(lambda other: other["is_long_view"]),
        }
    ).select(*impressions.columns, *NEUTRAL)
