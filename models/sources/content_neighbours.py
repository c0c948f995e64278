"""Videos about what the user has lately watched for long, whether or not anyone has seen them.

A video is a row of weighted words: its tags, author, length and sound (models/content.py). A user is the sum of the
rows of the videos shown to them, a long view counting 1 − r and any other impression −r, r being the long-view rate of
all; the WORDS strongest words are kept. Score: their inner product. Users without history are the sum of all others.
Model: part `word`, word to the videos that have it; part `user`, user to word; part `anyone`, entity 0 to word. Words
are numbered in alphabetical order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.content import content_matrix, words
from models.model_rows import link_matrix, links, nothing, per_entity
from models.search import propose_linked
from models.source import SCORE_UNIT, Known, Source

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

WORDS = 60
ANYONE = 0


def fit(known: Known) -> DataFrame:
    """Returns the words of videos, users and everyone; nothing where no one watched anything that may be shown."""
    import pyarrow as pa
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    spark = known.impressions.sparkSession
    listed = words(known.videos).toArrow()
    matrix = content_matrix(listed["words"].to_pylist()).tocoo()
    video_ids = listed["video_id"].to_numpy()
    # Converted with their names: from Arrow, since from Python objects a million links would take minutes.
    cells = pa.table({"word": matrix.col.astype("int64"), "video_id": video_ids[matrix.row], "score": matrix.data})
    of_videos = spark.createDataFrame(cells).where("score > 0").localCheckpoint()
    rate = known.impressions.agg(F.avg(F.col("is_long_view").cast("int"))).collect()[0][0]
    if rate is None or of_videos.isEmpty():
        return nothing(spark)
    taste = F.sum(F.col("is_long_view").cast("int") - F.lit(rate)).alias("taste")
    met = known.impressions.groupBy("user_id", "video_id").agg(taste)
    told = met.join(F.broadcast(of_videos), on="video_id", how="inner")
    units = (F.sum((F.col("taste") * F.col("score") / SCORE_UNIT).cast("bigint")) * SCORE_UNIT).alias("strength")
    of_users = told.groupBy("user_id", "word").agg(units)
    strongest = F.row_number().over(Window.partitionBy("user_id").orderBy(F.desc(F.abs("strength")), "word"))
    kept = of_users.withColumn("place", strongest).where(F.col("place") <= WORDS)
    everyone = told.groupBy("word").agg(units)
    return (
        links("word", of_videos, "word", "video_id", "score")
        .unionByName(links("user", kept, "user_id", "word", "strength"))
        .unionByName(links("anyone", everyone, F.lit(ANYONE), "word", "strength"))
    )


def propose(model: DataFrame, histories: DataFrame, quota: int) -> DataFrame:
    """Returns for every user the unseen videos whose words are most to their taste, else to everyone's."""
    from pyspark.sql import functions as F

    anyone = per_entity(model, "anyone").select(F.col("things").alias("all"), F.col("weights").alias("all_weights"))
    asking = histories.select("user_id", "seen").join(per_entity(model, "user"), on="user_id", how="left")
    asking = asking.crossJoin(F.broadcast(anyone)).select(
        "user_id",
        "seen",
        F.coalesce("things", "all").alias("things"),
        F.coalesce("weights", "all_weights").alias("weights"),
    )
    return propose_linked(asking, *link_matrix(model, "word"), quota)


SOURCE = Source(
    name="content_neighbours",
    doc=__doc__,
    owner="feed-candidates",
    serves_new_users=True,
    fit=fit,
    propose=propose,
)
