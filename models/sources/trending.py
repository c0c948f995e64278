"""What everyone has lately watched for long: the videos with the most long views, recent days counting more.

Score of a video: sum over its days of long views × 2^(−age / HALF_LIFE_DAYS), age in days at the end of `ds`.
Model: one part, `everyone`, entity 0, the LIST_LENGTH best videos.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.search import propose_best
from models.source import SCORE_UNIT, Known, Source

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    from pyspark.sql import DataFrame

HALF_LIFE_DAYS = 3.0
LIST_LENGTH = 1000


def fit(known: Known) -> DataFrame:
    """Returns the trending list; a video without a long view scores 0 and stands last."""
    from pyspark.sql import functions as F

    age = F.datediff(F.lit(known.ds), F.col("shown_on"))
    weight = F.when(F.col("is_long_view"), F.pow(F.lit(2.0), -age / HALF_LIFE_DAYS)).otherwise(0.0)
    units = F.sum((weight / SCORE_UNIT).cast("bigint"))
    scored = known.impressions.groupBy("video_id").agg((units * SCORE_UNIT).alias("score"))
    shown = known.videos.select("video_id").join(scored, on="video_id", how="left").fillna(0.0, ["score"])
    return (
        shown.orderBy(F.desc("score"), "video_id")
        .limit(LIST_LENGTH)
        .select(
            F.lit("everyone").alias("part"),
            F.lit(0).cast("bigint").alias("entity_id"),
            "video_id",
            "score",
            F.array().cast("array<float>").alias("embedding"),
        )
    )


def propose(model: DataFrame, histories: DataFrame, quota: int) -> DataFrame:
    """Returns for every user the head of the list that they have not seen."""
    import numpy as np

    listed = model.select("video_id", "score").orderBy("video_id").toArrow()
    scores = listed["score"].to_numpy()

    def score(users: pyarrow.RecordBatch) -> np.ndarray:
        return np.tile(scores, (users.num_rows, 1))

    return propose_best(histories.select("user_id", "seen"), listed["video_id"].to_numpy(), score, quota)


SOURCE = Source(
    name="trending",
    doc=__doc__,
    owner="feed-candidates",
    serves_new_users=True,
    fit=fit,
    propose=propose,
)
