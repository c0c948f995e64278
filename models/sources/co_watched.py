"""Videos that were shown to the same people as the user's own recent videos.

Similarity of video j to video i: users who met both / (users who met i) ** DAMPING, over each user's last HISTORY
videos; a long view counts like an impression. The popularity of j is not taken out: on sparse logs doing so lost
most of the recall (docs/benchmarks.md). Score for a user: sum of the similarities to their recent videos.
Model: one part, `similar`, the NEIGHBOURS most similar videos of each video.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from models.model_rows import link_matrix, links, nothing
from models.search import largest, propose_linked
from models.source import Known, Source

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    from pyspark.sql import DataFrame
    from scipy.sparse import csc_array

HISTORY = 60
NEIGHBOURS = 120
DAMPING = 0.25
"""How much less a video says of a user for having been met by many; chosen on validation days."""

MOST_USERS = 1_000_000
"""Users whose histories are compared, drawn by hash where there are more: bounds the driver's matrix to 60 M cells."""
VIDEOS_AT_ONCE = 256


def fit(known: Known) -> DataFrame:
    """Returns the similar videos of every video that shares a user with another; nothing without impressions."""
    import numpy as np
    from pyspark.sql import Window
    from pyspark.sql import functions as F
    from scipy.sparse import csc_array

    met = known.impressions.groupBy("user_id", "video_id").agg(F.max("shown_at").alias("last_at"))
    newest = Window.partitionBy("user_id").orderBy(F.desc("last_at"), "video_id")
    met = met.withColumn("place", F.row_number().over(newest)).where(F.col("place") <= HISTORY)
    drawn = known.impressions.select("user_id").distinct().orderBy(F.xxhash64("user_id")).limit(MOST_USERS)
    lately = met.join(drawn, on="user_id", how="left_semi").select("user_id", "video_id").toArrow()
    if not lately.num_rows:
        return nothing(known.impressions.sparkSession)
    _, users = np.unique(lately["user_id"].to_numpy(), return_inverse=True)
    video_ids, videos = np.unique(lately["video_id"].to_numpy(), return_inverse=True)
    shown = known.videos.select("video_id").orderBy("video_id").toArrow()["video_id"].to_numpy()
    # Each user counts once per video, so a column's sum is the number of users who met it.
    matrix = csc_array((np.ones(len(users)), (users, videos)))
    weight = np.maximum(matrix.sum(axis=0), 1.0) ** -DAMPING
    may_show = np.isin(video_ids, shown)

    def similar(batches: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        for batch in batches:
            yield nearest(batch.column("id").to_numpy(), matrix, weight, may_show, video_ids)

    spark = known.impressions.sparkSession
    blocks = spark.range(len(video_ids)).mapInArrow(similar, "entity_id bigint, video_id bigint, score double")
    return links("similar", blocks, "entity_id", "video_id", "score")


def nearest(
    rows: np.ndarray, matrix: csc_array, weight: np.ndarray, may_show: np.ndarray, video_ids: np.ndarray
) -> pyarrow.RecordBatch:
    """Returns entity_id, video_id, score: the NEIGHBOURS most similar videos of each of `rows`, ties by video id.

    `matrix` is (users, videos), 1 where the user met the video; `weight` what a meeting of each video counts;
    `may_show` which videos may be proposed; `rows` are column numbers of the matrix.
    """
    import numpy as np
    import pyarrow as pa

    found: list[list[np.ndarray]] = [[], [], []]
    for start in range(0, len(rows), VIDEOS_AT_ONCE):
        block = rows[start : start + VIDEOS_AT_ONCE]
        scores = (matrix[:, block].T @ matrix).toarray() * weight[block][:, None]
        scores[np.arange(len(block)), block] = 0.0
        scores[:, ~may_show] = 0.0
        chosen = largest(scores, min(NEIGHBOURS, len(video_ids)))
        values = np.take_along_axis(scores, chosen, axis=1)
        kept = values > 0
        found[0].append(np.repeat(video_ids[block], kept.sum(axis=1)))
        found[1].append(video_ids[chosen[kept]])
        found[2].append(values[kept])
    columns = [np.concatenate(part) if part else np.array([], dtype=np.int64) for part in found]
    arrays = [pa.array(columns[0]), pa.array(columns[1]), pa.array(columns[2].astype(np.float64))]
    return pa.RecordBatch.from_arrays(arrays, names=["entity_id", "video_id", "score"])


def propose(model: DataFrame, histories: DataFrame, quota: int) -> DataFrame:
    """Returns for every user with history the unseen videos most similar to their recent ones."""
    from pyspark.sql import functions as F

    met, video_ids, similar = link_matrix(model, "similar")
    asking = histories.where("size(recent) > 0").select("user_id", "seen", F.col("recent").alias("things"))
    return propose_linked(asking, met, video_ids, similar, quota)


SOURCE = Source(
    name="co_watched",
    doc=__doc__,
    owner="feed-candidates",
    serves_new_users=False,
    fit=fit,
    propose=propose,
)
