"""Implicit matrix factorisation by alternating least squares (Hu, Koren, Volinsky 2008), Spark MLlib's.

A user's preference for a video they were shown is 1 with confidence 1 + ALPHA · (impressions + POSITIVE_WEIGHT · long
views). Score: inner product of the two embeddings. Model: parts `user` and `video`, an embedding each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.search import propose_best
from models.source import Known, Source

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    from pyspark.sql import DataFrame

RANK = 24
ITERATIONS = 6
REGULARISATION = 0.05
ALPHA = 1.0
POSITIVE_WEIGHT = 3.0


def fit(known: Known) -> DataFrame:
    """Returns the embeddings of all users and videos with impressions."""
    from pyspark.ml.recommendation import ALS
    from pyspark.sql import functions as F

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
    return _part("user", model.userFactors).unionByName(_part("video", videos))


def _part(name: str, factors: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    return factors.select(
        F.lit(name).alias("part"),
        F.col("id").cast("bigint").alias("entity_id"),
        F.lit(-1).cast("bigint").alias("video_id"),
        F.lit(0.0).alias("score"),
        F.col("features").cast("array<float>").alias("embedding"),
    )


def propose(model: DataFrame, histories: DataFrame, quota: int) -> DataFrame:
    """Returns for every user with an embedding the unseen videos of largest inner product, exactly."""
    import numpy as np
    from pyspark.sql import functions as F

    videos = model.where("part = 'video'").orderBy("entity_id").select("entity_id", "embedding").toArrow()
    video_ids = videos["entity_id"].to_numpy()
    matrix = np.asarray(videos["embedding"].combine_chunks().flatten(), dtype=np.float32).reshape(len(video_ids), -1)
    users = model.where("part = 'user'").select(F.col("entity_id").alias("user_id"), "embedding")
    asking = histories.select("user_id", "seen").join(users, on="user_id", how="inner")

    def score(users: pyarrow.RecordBatch) -> np.ndarray:
        embeddings = np.asarray(users.column("embedding").flatten(), dtype=np.float32)
        return embeddings.reshape(users.num_rows, -1) @ matrix.T

    return propose_best(asking, video_ids, score, quota)


SOURCE = Source(
    name="als",
    doc=__doc__,
    owner="feed-candidates",
    serves_new_users=False,
    fit=fit,
    propose=propose,
)
