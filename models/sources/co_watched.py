"""Videos that were shown to the same people as the user's own recent videos, popularity taken out.

Similarity of videos i and j: users who met both / sqrt(users who met i × users who met j), over each user's last
HISTORY videos; a long view counts like an impression (training on all impressions did better than on positives, see
docs/benchmarks.md). Score for a user: sum of the similarities to their recent videos.
Model: one part, `similar`, the NEIGHBOURS most similar videos of each video.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.search import known_cells, propose_best
from models.source import Known, Source

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    from pyspark.sql import DataFrame

HISTORY = 60
NEIGHBOURS = 60


def fit(known: Known) -> DataFrame:
    """Returns the similar videos of every video that shares a user with another."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    met = known.impressions.groupBy("user_id", "video_id").agg(F.max("shown_at").alias("last_at"))
    newest = Window.partitionBy("user_id").orderBy(F.desc("last_at"), "video_id")
    met = met.withColumn("place", F.row_number().over(newest)).where(F.col("place") <= HISTORY)
    met = met.select("user_id", "video_id")
    users_of = met.groupBy("video_id").agg(F.count(F.lit(1)).alias("users"))
    pairs = (
        met.join(met.withColumnRenamed("video_id", "other_id"), on="user_id", how="inner")
        .where("video_id <> other_id")
        .groupBy("video_id", "other_id")
        .agg(F.count(F.lit(1)).alias("both"))
    )
    others = users_of.select(F.col("video_id").alias("other_id"), F.col("users").alias("other_users"))
    shown = known.videos.select(F.col("video_id").alias("other_id"))
    scored = (
        pairs.join(users_of, on="video_id", how="inner")
        .join(others, on="other_id", how="inner")
        .join(shown, on="other_id", how="left_semi")
        .withColumn("score", F.col("both") / F.sqrt(F.col("users") * F.col("other_users")))
    )
    nearest = Window.partitionBy("video_id").orderBy(F.desc("score"), "other_id")
    return (
        scored.withColumn("place", F.row_number().over(nearest))
        .where(F.col("place") <= NEIGHBOURS)
        .select(
            F.lit("similar").alias("part"),
            F.col("video_id").alias("entity_id"),
            F.col("other_id").alias("video_id"),
            "score",
            F.array().cast("array<float>").alias("embedding"),
        )
    )


def propose(model: DataFrame, histories: DataFrame, quota: int) -> DataFrame:
    """Returns for every user with history the unseen videos most similar to their recent ones."""
    import numpy as np
    from scipy.sparse import csr_array

    links = model.select("entity_id", "video_id", "score").orderBy("entity_id", "video_id").toArrow()
    source, target = links["entity_id"].to_numpy(), links["video_id"].to_numpy()
    video_ids = np.unique(np.concatenate([source, target]))
    places = (np.searchsorted(video_ids, source), np.searchsorted(video_ids, target))
    similar = csr_array((links["score"].to_numpy(), places), shape=(len(video_ids), len(video_ids)))

    def score(users: pyarrow.RecordBatch) -> np.ndarray:
        recent = users.column("recent")
        rows = np.repeat(np.arange(users.num_rows), np.asarray(recent.value_lengths()))
        cells = known_cells(rows, np.asarray(recent.flatten()), video_ids)
        met = csr_array((np.ones(len(cells[0])), cells), shape=(users.num_rows, len(video_ids)))
        scores = (met @ similar).toarray()
        scores[scores == 0.0] = -np.inf
        return scores

    return propose_best(histories.where("size(recent) > 0"), video_ids, score, quota)


SOURCE = Source(
    name="co_watched",
    doc=__doc__,
    owner="feed-candidates",
    serves_new_users=False,
    fit=fit,
    propose=propose,
)
