"""Two towers, of users and of videos, whose inner product says what a user will meet and watch (models/towers.py).

Learned from every impression, a long view counting 1 + `weight` times as much: long views alone are few (and a weight
of 1 did as well as one of 3 on KuaiRand's validation days). A user without a row asks with the vector of `anyone`; a
video that nobody has met stands where its tags, author, length, music and age put it.
Score: inner product. Model: parts `user`, `video` and `anyone` (entity 0), an embedding each.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from models.content import words
from models.model_rows import embeddings, nothing, vectors
from models.nearest import propose_nearest
from models.source import Known, Source

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from models.tower_inputs import Features, Met

MOST_ROWS = 4_000_000
"""Impressions brought to the driver, at most, but for users of whom fewer than LEAST_OF_USER are."""
LEAST_OF_USER, MOST_OF_USER = 30, 500
"""Each user's newest impressions that are learned from: what the driver can hold, and no user outweighs the rest."""
MOST_WORDS = 12
"""Words of a video that count: tags come first, and are what is left out."""
RARELY = 2
"""Videos that must share a word for it to have a row."""


def fit(known: Known) -> DataFrame:
    """Returns the vectors of all known users, of the videos that may be shown and of anyone."""
    import pyarrow as pa
    from pyspark.sql import functions as F

    from models import towers

    spark = known.impressions.sparkSession
    impressions = _newest(known.impressions)
    users = known.users.select("user_id", "activity").toArrow()
    uploaded = known.videos.select("video_id", F.unix_date("uploaded_on").alias("uploaded"))
    videos = words(known.videos).join(uploaded, on="video_id", how="inner").toArrow()
    user_ids, video_ids, met, features = arrays(impressions, users, videos)
    learned = towers.fit(met, features, (known.ds - date(1970, 1, 1)).days + 1, known.seed)
    if learned is None:
        return nothing(spark)
    shown = features.may_show
    parts = [
        ("user", user_ids, learned.users),
        ("video", video_ids[shown], learned.videos[shown]),
        ("anyone", [0], learned.anyone),
    ]
    rows = [
        spark.createDataFrame(pa.table({"id": pa.array(ids, pa.int64()), "vector": _lists(of)})) for _, ids, of in parts
    ]
    made = [embeddings(part, of, "id", "vector") for (part, _, _), of in zip(parts, rows, strict=True)]
    return made[0].unionByName(made[1]).unionByName(made[2])


def _newest(impressions: DataFrame) -> pa.Table:
    """Returns each user's newest impressions: user_id, video_id, at (µs), day, is_long_view, is_not_interested."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    users = impressions.select("user_id").distinct().count()
    most = min(max(MOST_ROWS // max(users, 1), LEAST_OF_USER), MOST_OF_USER)
    order = [F.desc(column) for column in ("shown_at", "video_id", "is_long_view", "is_not_interested")]
    place = F.row_number().over(Window.partitionBy("user_id").orderBy(*order))
    return (
        impressions.withColumn("place", place)
        .where(F.col("place") <= most)
        .select(
            "user_id",
            "video_id",
            F.unix_micros("shown_at").alias("at"),
            F.unix_date("shown_on").alias("day"),
            *(F.coalesce(F.col(flag), F.lit(False)).alias(flag) for flag in ("is_long_view", "is_not_interested")),
        )
        .toArrow()
    )


def arrays(impressions: pa.Table, users: pa.Table, videos: pa.Table) -> tuple[np.ndarray, np.ndarray, Met, Features]:
    """Returns the sorted ids of users and of videos, and what the towers learn from, the same for rows in any order.

    `impressions` as `_newest` returns them; `users` has user_id and activity; `videos`, those that may be shown, has
    video_id, words (strings) and uploaded (days since 1970, null where unknown).
    """
    import numpy as np

    from models.tower_inputs import UNKNOWN_DAY, Features, Met

    columns = {name: impressions[name].to_numpy() for name in impressions.column_names}
    user_ids, video_ids = (
        np.union1d(columns[of], table[of].to_numpy()) for of, table in (("user_id", users), ("video_id", videos))
    )
    keys = ("is_not_interested", "is_long_view", "video_id", "at", "user_id")
    order = np.lexsort([columns[key] for key in keys])
    columns = {name: column[order] for name, column in columns.items()}
    met = Met(
        user=np.searchsorted(user_ids, columns.pop("user_id")),
        video=np.searchsorted(video_ids, columns.pop("video_id")),
        **columns,
    )
    known = np.searchsorted(user_ids, users["user_id"].to_numpy())
    place = np.searchsorted(video_ids, videos["video_id"].to_numpy())
    activity = np.zeros(len(user_ids), np.int32)
    activity[known] = _numbers(users["activity"], 1)
    described = np.zeros((len(video_ids), MOST_WORDS), np.int32)
    described[place] = _padded(videos["words"])
    uploaded = np.full(len(video_ids), UNKNOWN_DAY, np.int32)
    uploaded[place] = videos["uploaded"].fill_null(UNKNOWN_DAY).to_numpy()
    return user_ids, video_ids, met, Features(activity, described, uploaded, np.isin(video_ids, video_ids[place]))


def _numbers(values: pa.Array | pa.ChunkedArray, rarely: int) -> np.ndarray:
    """Returns a number from 1 for each value that at least `rarely` rows have, in the order of values, 0 for others."""
    import numpy as np

    _, places, counts = np.unique(np.asarray(values).astype(str), return_inverse=True, return_counts=True)
    often = counts >= rarely
    return (np.cumsum(often) * often)[places].astype(np.int32)


def _padded(lists: pa.ChunkedArray) -> np.ndarray:
    """Returns the numbers of the last MOST_WORDS words of each list, (lists, MOST_WORDS), and 0 for none."""
    import numpy as np

    combined = lists.combine_chunks()
    lengths = combined.value_lengths().to_numpy()
    rows = np.repeat(np.arange(len(lengths)), lengths)
    from_end = np.repeat(np.cumsum(lengths), lengths) - 1 - np.arange(len(rows))
    padded = np.zeros((len(lengths), MOST_WORDS), np.int32)
    kept = from_end < MOST_WORDS
    padded[rows[kept], from_end[kept]] = _numbers(combined.flatten(), RARELY)[kept]
    return padded


def _lists(matrix: np.ndarray) -> pa.Array:
    import pyarrow as pa

    return pa.FixedSizeListArray.from_arrays(matrix.ravel(), matrix.shape[1]).cast(pa.list_(pa.float32()))


def propose(model: DataFrame, histories: DataFrame, quota: int) -> DataFrame:
    """Returns for every user the unseen videos of largest inner product."""
    from pyspark.sql import functions as F

    users = model.where("part = 'user'").select(F.col("entity_id").alias("user_id"), "embedding")
    anyone = model.where("part = 'anyone'").select(F.col("embedding").alias("of_anyone"))
    asking = histories.select("user_id", "seen").join(users, on="user_id", how="left").crossJoin(F.broadcast(anyone))
    asking = asking.select("user_id", "seen", F.coalesce("embedding", "of_anyone").alias("embedding"))
    return propose_nearest(asking, *vectors(model, "video"), quota)


SOURCE = Source(
    name="two_tower",
    doc=__doc__,
    owner="feed-candidates",
    serves_new_users=True,
    fit=fit,
    propose=propose,
)
