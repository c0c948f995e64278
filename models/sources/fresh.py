"""New videos that have not had their share of showings yet, dealt out evenly to the users.

New is what was uploaded in the last NEW_DAYS days and shown fewer than FLOOR times. They stand in a ring, least shown
first; every user starts at a place of their own, by hash, and goes round: score 1 − steps / videos. So each is first
for about as many users as any other, and gathers what the other sources need to judge it.
Model: part `ring`, entity 0 to video, score its place, first is 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.model_rows import links
from models.search import propose_best
from models.source import Known, Source

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    from pyspark.sql import DataFrame

NEW_DAYS = 3
FLOOR = 100
"""Showings after which a video's long-view rate is known to about ± 9 points."""
MOST_VIDEOS = 5_000


def fit(known: Known) -> DataFrame:
    """Returns the ring; nothing where no video is new."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    new = known.videos.where(F.datediff(F.lit(known.ds), "uploaded_on") < NEW_DAYS).select("video_id")
    shown = (
        known.impressions.join(new, on="video_id", how="left_semi")
        .groupBy("video_id")
        .agg(F.count(F.lit(1)).alias("n"))
    )
    few = new.join(shown, on="video_id", how="left").fillna(0, ["n"]).where(F.col("n") < FLOOR)
    place = F.row_number().over(Window.orderBy("n", F.xxhash64("video_id"), "video_id"))
    ring = few.withColumn("place", place).where(F.col("place") <= MOST_VIDEOS)
    return links("ring", ring, F.lit(0), "video_id", "place")


def propose(model: DataFrame, histories: DataFrame, quota: int) -> DataFrame:
    """Returns for every user the unseen videos of the ring from their own place on."""
    from pyspark.sql import functions as F

    ring = model.select("target_id", "score").orderBy("target_id").toArrow()
    video_ids, places = ring["target_id"].to_numpy(), ring["score"].to_numpy() - 1.0
    videos = max(len(video_ids), 1)
    start = F.pmod(F.xxhash64("user_id", F.lit(int(video_ids.sum()))), F.lit(videos)).alias("start")

    def score(users: pyarrow.RecordBatch) -> np.ndarray:
        starts = users.column("start").to_numpy(zero_copy_only=False)
        steps: np.ndarray = (places[None, :] - starts[:, None]) % videos
        return 1.0 - steps / videos

    return propose_best(histories.select("user_id", "seen", start), video_ids, score, quota)


SOURCE = Source(
    name="fresh",
    doc=__doc__,
    owner="feed-candidates",
    serves_new_users=True,
    fit=fit,
    propose=propose,
)
