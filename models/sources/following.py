"""The newest videos of the authors that the user follows.

Score: 2 ^ (−days since upload / HALF_LIFE_DAYS), at least OLDEST for videos of unknown or old upload, so the newest
stand first. Model: part `follower`, user to author; part `author`, author to their LIST_LENGTH newest videos.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.model_rows import link_matrix, links, nothing, per_entity
from models.search import propose_linked
from models.source import Known, Source

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

HALF_LIFE_DAYS = 3.0
LIST_LENGTH = 50
OLDEST = 1e-6


def fit(known: Known) -> DataFrame:
    """Returns the follow graph and every followed author's newest videos; nothing where no one follows anyone."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    if known.follows.isEmpty():
        return nothing(known.follows.sparkSession)
    age = F.datediff(F.lit(known.ds), F.col("uploaded_on"))
    score = F.greatest(F.coalesce(F.pow(F.lit(2.0), -age / HALF_LIFE_DAYS), F.lit(0.0)), F.lit(OLDEST))
    newest = F.row_number().over(Window.partitionBy("author_id").orderBy(F.desc("score"), F.desc("video_id")))
    followed = known.videos.join(known.follows.select("author_id").distinct(), on="author_id", how="left_semi")
    posts = followed.withColumn("score", score).withColumn("place", newest).where(F.col("place") <= LIST_LENGTH)
    graph = links("follower", known.follows, "user_id", "author_id", F.lit(1.0))
    return graph.unionByName(links("author", posts, "author_id", "video_id", "score"))


def propose(model: DataFrame, histories: DataFrame, quota: int) -> DataFrame:
    """Returns for every user who follows someone the newest unseen videos of those they follow."""
    followed = per_entity(model, "follower").drop("weights")
    asking = histories.select("user_id", "seen").join(followed, on="user_id", how="inner")
    return propose_linked(asking, *link_matrix(model, "author"), quota)


SOURCE = Source(
    name="following",
    doc=__doc__,
    owner="feed-candidates",
    serves_new_users=False,
    fit=fit,
    propose=propose,
)
