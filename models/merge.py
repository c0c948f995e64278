"""The sources' proposals as one list per user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def merge(proposals: Mapping[str, DataFrame], length: int) -> DataFrame:
    """Returns user_id, video_id, rank, sources: at most `length` videos a user, each once.

    Round robin: a video stands where its best source ranked it; of equals the one that more sources named comes
    first, then the smaller video_id. `sources` keeps every source's own rank (first is 1) and score, by source name.
    `proposals` maps a source to user_id, video_id, score.
    """
    from functools import reduce

    from pyspark.sql import DataFrame, Window
    from pyspark.sql import functions as F

    own = Window.partitionBy("user_id").orderBy(F.desc("score"), "video_id")
    ranked = [
        frame.select(
            "user_id",
            "video_id",
            F.struct(F.lit(name).alias("source"), F.row_number().over(own).alias("rank"), "score").alias("by"),
        )
        for name, frame in sorted(proposals.items())
    ]
    named = (
        reduce(DataFrame.unionByName, ranked)
        .groupBy("user_id", "video_id")
        .agg(F.sort_array(F.collect_list("by")).alias("sources"), F.min("by.rank").alias("best"))
    )
    order = Window.partitionBy("user_id").orderBy("best", F.desc(F.size("sources")), "video_id")
    return named.withColumn("rank", F.row_number().over(order)).where(F.col("rank") <= length).drop("best")
