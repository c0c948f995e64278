"""A linear autoencoder over everything that users met: EASE (Steck 2019), for pools that one matrix can hold.

X is (users, videos), 1 where the user met the video; B minimises |X − X B|² + RIDGE · |B|² with a diagonal of 0:
B = I − P · diag(1 / diag P), P the inverse of XᵀX + RIDGE · I. Score: row of X times B. Where the pool is larger than
MOST_VIDEOS the source steps aside, since the inverse takes videos³ operations on one machine.
Model: part `similar`, the NEIGHBOURS largest positive weights of each video met.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from models.model_rows import link_matrix, links, nothing
from models.search import largest, propose_linked
from models.source import Known, Source

if TYPE_CHECKING:
    import numpy as np
    from pyspark.sql import DataFrame

log = logging.getLogger("reelfeed")

RIDGE = 3000.0
"""Chosen on validation days of KuaiRand (docs/benchmarks.md)."""
NEIGHBOURS = 200
MOST_VIDEOS = 10_000
MOST_USERS = 1_000_000


def fit(known: Known) -> DataFrame:
    """Returns the weights between videos; nothing where the pool is too large, or no one met anything."""
    import numpy as np
    from pyspark.sql import functions as F
    from scipy.sparse import csr_array

    spark = known.impressions.sparkSession
    videos = known.impressions.select("video_id").distinct().count()
    if videos > MOST_VIDEOS:
        log.warning("linear_autoencoder steps aside: %s videos, it takes at most %s", videos, MOST_VIDEOS)
        return nothing(spark)
    drawn = known.impressions.select("user_id").distinct().orderBy(F.xxhash64("user_id")).limit(MOST_USERS)
    met = known.impressions.join(drawn, on="user_id", how="left_semi").select("user_id", "video_id").distinct()
    pairs = met.orderBy("user_id", "video_id").toArrow()
    if not pairs.num_rows:
        return nothing(spark)
    _, users = np.unique(pairs["user_id"].to_numpy(), return_inverse=True)
    video_ids, places = np.unique(pairs["video_id"].to_numpy(), return_inverse=True)
    matrix = csr_array((np.ones(len(users)), (users, places)))
    shown = np.sort(known.videos.select("video_id").toArrow()["video_id"].to_numpy())
    weights = autoencoder((matrix.T @ matrix).toarray(), RIDGE)
    weights[:, ~np.isin(video_ids, shown)] = 0.0
    chosen = largest(weights, min(NEIGHBOURS, len(video_ids)))
    values = np.take_along_axis(weights, chosen, axis=1)
    kept = values > 0
    columns = [np.repeat(video_ids, kept.sum(axis=1)), video_ids[chosen[kept]], values[kept]]
    rows = spark.createDataFrame(_table(columns))
    return links("similar", rows, "entity_id", "video_id", "score")


def autoencoder(gram: np.ndarray, ridge: float) -> np.ndarray:
    """Returns B, float64 (videos, videos), of the Gram matrix XᵀX; overwrites `gram`."""
    import numpy as np
    from scipy.linalg import lapack

    places = np.arange(len(gram))
    gram[places, places] += ridge
    factor, failed = lapack.dpotrf(gram, lower=1, overwrite_a=1)
    inverse, failed_too = lapack.dpotri(factor, lower=1, overwrite_c=1)
    if failed or failed_too:
        raise ArithmeticError(f"XᵀX + {ridge} I has no inverse: are there values that are no numbers?")
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    weights: np.ndarray = -inverse / inverse[places, places]
    weights[places, places] = 0.0
    return weights


def _table(columns: list[np.ndarray]) -> object:
    import pyarrow as pa

    return pa.table(dict(zip(("entity_id", "video_id", "score"), columns, strict=True)))


def propose(model: DataFrame, histories: DataFrame, quota: int) -> DataFrame:
    """Returns for every user with history the unseen videos of largest score."""
    from pyspark.sql import functions as F

    asking = histories.where("size(seen) > 0").select("user_id", "seen", F.col("seen").alias("things"))
    return propose_linked(asking, *link_matrix(model, "similar"), quota)


SOURCE = Source(
    name="linear_autoencoder",
    doc=__doc__,
    owner="feed-candidates",
    serves_new_users=False,
    fit=fit,
    propose=propose,
)
