"""What each user was lately shown, as sources and rules need it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

RECENT = 30
DAYS = 28
"""A video shown in the last 28 days is a seen one."""


def histories(impressions: DataFrame, users: DataFrame) -> DataFrame:
    """Returns one row per user of `users`: user_id, seen (sorted video ids), recent (the last RECENT, newest first).

    Both arrays are empty for a user without impressions.
    """
    from pyspark.sql import functions as F

    met = impressions.groupBy("user_id", "video_id").agg(F.max("shown_at").alias("last_at"))
    # sort_array, since array_sort compares through an interpreted lambda.
    newest_first = F.sort_array(F.collect_list(F.struct("last_at", "video_id")), asc=False)
    summed = met.groupBy("user_id").agg(
        F.sort_array(F.collect_list("video_id")).alias("seen"),
        F.slice(newest_first, 1, RECENT).getField("video_id").alias("recent"),
    )
    nothing = F.array().cast("array<bigint>")
    return (
        users.select("user_id")
        .join(summed, on="user_id", how="left")
        .select("user_id", F.coalesce("seen", nothing).alias("seen"), F.coalesce("recent", nothing).alias("recent"))
    )
