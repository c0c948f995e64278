"""More of the authors whose videos the user has lately watched for long.

Affinity of a user to an author: (long views + LIKED · likes − DISLIKED · not-interested signals) / (impressions +
PRIOR), of the last 28 days, where above 0; the AUTHORS best are kept. Score of a video: affinity to its author × its
own long-view rate, shrunk to that of all videos by STRENGTH impressions. Model: part `user`, user to author; part
`author`, author to the LIST_LENGTH best received videos.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.model_rows import link_matrix, links, per_entity
from models.search import propose_linked
from models.source import Known, Source

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

LIKED = 2.0
DISLIKED = 5.0
PRIOR = 3.0
AUTHORS = 30
STRENGTH = 30.0
LIST_LENGTH = 50


def fit(known: Known) -> DataFrame:
    """Returns users' affinities and authors' best received videos."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    shown, long_views = F.count(F.lit(1)), F.count_if("is_long_view")
    liked, disliked = F.count_if("is_like"), F.count_if("is_not_interested")
    affinity = (long_views + LIKED * liked - DISLIKED * disliked) / (shown + PRIOR)
    mine = known.impressions.groupBy("user_id", "author_id").agg(affinity.alias("score")).where("score > 0")
    best = F.row_number().over(Window.partitionBy("user_id").orderBy(F.desc("score"), "author_id"))
    mine = mine.withColumn("place", best).where(F.col("place") <= AUTHORS)
    base = known.impressions.agg(long_views / F.greatest(shown, F.lit(1))).collect()[0][0] or 0.0
    received = known.impressions.groupBy("video_id").agg(shown.alias("n"), long_views.alias("long_views"))
    rate = (F.coalesce("long_views", F.lit(0)) + STRENGTH * base) / (F.coalesce("n", F.lit(0)) + STRENGTH)
    rated = known.videos.join(received, on="video_id", how="left").withColumn("score", rate)
    first = F.row_number().over(Window.partitionBy("author_id").orderBy(F.desc("score"), "video_id"))
    rated = rated.withColumn("place", first).where(F.col("place") <= LIST_LENGTH)
    return links("user", mine, "user_id", "author_id", "score").unionByName(
        links("author", rated, "author_id", "video_id", "score")
    )


def propose(model: DataFrame, histories: DataFrame, quota: int) -> DataFrame:
    """Returns for every user with an affinity the unseen videos of largest score."""
    asking = histories.select("user_id", "seen").join(per_entity(model, "user"), on="user_id", how="inner")
    return propose_linked(asking, *link_matrix(model, "author"), quota)


SOURCE = Source(
    name="author_affinity",
    doc=__doc__,
    owner="feed-candidates",
    serves_new_users=False,
    fit=fit,
    propose=propose,
)
