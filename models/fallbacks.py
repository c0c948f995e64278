"""Lists for users who have no feed: the head of what their audience segment lately watched, and of what all did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.serving import FALLBACK

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def fallback_lists(models: DataFrame, users: DataFrame, showable: DataFrame, length: int) -> DataFrame:
    """Returns tier, segment, slot, video_id: at most `length` videos of `showable` (video_id) a list, best first.

    `models` as in table source_models, of which the parts of models/sources/trending.py count; `users`: user_id,
    activity, which names a segment. A segment that the model does not list has no rows: its users get the popular list.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    mine = models.where(F.col("source") == FALLBACK)
    member = mine.where("part = 'member'").select(F.col("entity_id").alias("user_id"), F.col("target_id").alias("of"))
    names = member.join(users, on="user_id", how="inner").groupBy("of").agg(F.min("activity").alias("segment"))
    lists = mine.where("part in ('everyone', 'segment')").select(
        F.when(F.col("part") == "segment", F.col("entity_id")).alias("of"),
        F.col("target_id").alias("video_id"),
        "score",
    )
    named = lists.join(F.broadcast(names), on="of", how="left").where("of is null or segment is not null")
    best = Window.partitionBy("segment").orderBy(F.desc("score"), "video_id")
    return (
        named.join(F.broadcast(showable.select("video_id")), on="video_id", how="left_semi")
        .select(
            F.expr("if(segment is null, 'popular', 'segment')").alias("tier"),
            F.coalesce("segment", F.lit("")).alias("segment"),
            F.row_number().over(best).alias("slot"),
            "video_id",
        )
        .where(F.col("slot") <= length)
    )
