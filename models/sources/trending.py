"""What everyone, and the user's audience segment, has lately watched for long, recent days counting more.

Long views of a day weigh 2 ^ (−age / HALF_LIFE_DAYS), age in days at the end of `ds`. Score of a video for everyone:
the weight of its long views, w. For a segment (table users, activity): (w in the segment + STRENGTH · w / W) / (W in
the segment + STRENGTH), W being the sum over videos: its share of the segment's long views, shrunk to its share of all.
Model: part `everyone`, entity 0, and part `segment`, by number: the LIST_LENGTH best videos; part `member`: user to
number of segment. Users of no segment are served what everyone watches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.model_rows import link_matrix, links
from models.search import propose_linked
from models.source import SCORE_UNIT, Known, Source

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

HALF_LIFE_DAYS = 3.0
LIST_LENGTH = 1000
STRENGTH = 2000.0
"""Long views that a segment needs for its own taste to count half."""
EVERYONE = 0


def fit(known: Known) -> DataFrame:
    """Returns the lists; a video without a long view scores 0 and stands last."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    age = F.datediff(F.lit(known.ds), F.col("shown_on"))
    weight = F.when(F.col("is_long_view"), F.pow(F.lit(2.0), -age / HALF_LIFE_DAYS)).otherwise(0.0)
    units = F.sum((weight / SCORE_UNIT).cast("bigint")) * SCORE_UNIT
    classes = known.users.select("activity").distinct()
    numbered = classes.withColumn("segment", F.row_number().over(Window.orderBy("activity")).cast("bigint"))
    member = known.users.join(F.broadcast(numbered), on="activity", how="inner").select("user_id", "segment")
    by_segment = known.impressions.join(member, on="user_id", how="left").groupBy("video_id", "segment")
    watched = by_segment.agg(units.alias("own")).fillna(EVERYONE, ["segment"])
    pool = known.videos.select("video_id")
    everyone = watched.groupBy("video_id").agg(F.sum("own").alias("all"))
    everyone = pool.join(everyone, on="video_id", how="left").fillna(0.0, ["all"]).localCheckpoint()
    total = everyone.agg(F.sum("all")).collect()[0][0] or 1.0
    segments = watched.where("segment > 0").groupBy("segment").agg(F.sum("own").alias("segment_total"))
    grid = everyone.crossJoin(F.broadcast(segments)).join(watched, on=["video_id", "segment"], how="left")
    share = (F.coalesce("own", F.lit(0.0)) + STRENGTH * F.col("all") / total) / (F.col("segment_total") + STRENGTH)
    best = F.row_number().over(Window.partitionBy("segment").orderBy(F.desc("share"), "video_id"))
    listed = grid.withColumn("share", share).withColumn("place", best).where(F.col("place") <= LIST_LENGTH)
    first = everyone.orderBy(F.desc("all"), "video_id").limit(LIST_LENGTH)
    return (
        links("everyone", first, F.lit(EVERYONE), "video_id", "all")
        .unionByName(links("segment", listed, "segment", "video_id", "share"))
        .unionByName(links("member", member, "user_id", "segment", F.lit(1.0)))
    )


def propose(model: DataFrame, histories: DataFrame, quota: int) -> DataFrame:
    """Returns for every user the head of their segment's list, else of everyone's, that they have not seen."""
    from pyspark.sql import functions as F

    lists = model.where("part in ('everyone', 'segment')").withColumn("part", F.lit("list"))
    # A video that no one watched is still one to show where there is no other.
    segments, video_ids, similar = link_matrix(lists.withColumn("score", F.col("score") + SCORE_UNIT), "list")
    member = model.where("part = 'member'").select(F.col("entity_id").alias("user_id"), F.col("target_id").alias("of"))
    asking = histories.select("user_id", "seen").join(member, on="user_id", how="left")
    known = F.col("of").isin([int(segment) for segment in segments])
    things = F.array(F.when(known, F.col("of")).otherwise(F.lit(EVERYONE)).cast("bigint"))
    return propose_linked(asking.withColumn("things", things), segments, video_ids, similar, quota)


SOURCE = Source(
    name="trending",
    doc=__doc__,
    owner="feed-candidates",
    serves_new_users=True,
    fit=fit,
    propose=propose,
)
