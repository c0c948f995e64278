"""Implicit matrix factorisation by alternating least squares (Hu, Koren, Volinsky 2008), Spark MLlib's.

A user's preference for a video they were shown is 1 with confidence 1 + ALPHA · (impressions + POSITIVE_WEIGHT · long
views). Score: inner product of the two embeddings. Model: parts `user` and `video`, an embedding each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.model_rows import embeddings, nothing, vectors
from models.nearest import propose_nearest
from models.source import Known, Source

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

RANK = 24
ITERATIONS = 6
REGULARISATION = 0.05
ALPHA = 1.0
POSITIVE_WEIGHT = 3.0


def fit(known: Known) -> DataFrame:
    """Returns the embeddings of all users and videos with impressions; nothing where there are none."""
    from pyspark.ml.recommendation import ALS
    from pyspark.sql import functions as F

    if known.impressions.isEmpty():
        return nothing(known.impressions.sparkSession)
    weight = 1.0 + POSITIVE_WEIGHT * F.col("is_long_view").cast("double")
    met = known.impressions.groupBy("user_id", "video_id").agg(F.sum(weight).alias("weight"))
    # ALS wants int ids; equal input in equal order gives equal embeddings.
    met = met.select(F.col("user_id").cast("int"), F.col("video_id").cast("int"), F.col("weight").cast("float"))
    ordered = met.repartition(2, "user_id").sortWithinPartitions("user_id", "video_id")
    model = ALS(
        rank=RANK,
        maxIter=ITERATIONS,
        regParam=REGULARISATION,
        alpha=ALPHA,
        implicitPrefs=True,
        userCol="user_id",
        itemCol="video_id",
        ratingCol="weight",
        numUserBlocks=2,
        numItemBlocks=2,
        seed=known.seed,
    ).fit(ordered)
    videos = model.itemFactors.join(known.videos.select(F.col("video_id").alias("id")), on="id", how="left_semi")
    of_users = embeddings("user", model.userFactors, "id", "features")
    return of_users.unionByName(embeddings("video", videos, "id", "features"))


def propose(model: DataFrame, histories: DataFrame, quota: int) -> DataFrame:
    """Returns for every user with an embedding the unseen videos of largest inner product."""
    from pyspark.sql import functions as F

    users = model.where("part = 'user'").select(F.col("entity_id").alias("user_id"), "embedding")
    asking = histories.select("user_id", "seen").join(users, on="user_id", how="inner")
    return propose_nearest(asking, *vectors(model, "video"), quota)


SOURCE = Source(
    name="als",
    doc=__doc__,
    owner="feed-candidates",
    serves_new_users=False,
    fit=fit,
    propose=propose,
)
