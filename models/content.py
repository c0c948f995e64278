"""What a video is about, as a sparse row: its tags, author, length and sound, known before anyone has seen it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from features.duration_buckets import DURATION_BUCKET, DURATION_BUCKET_SQL

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from scipy.sparse import csr_array

WEIGHTS = {"tag": 1.0, "author": 0.7, "length": 0.5, "music": 0.5}
"""How much sharing each kind counts, before rarity does."""
RARELY = 2
"""Videos that must share a word for it to say anything of two of them."""


def words(videos: DataFrame) -> DataFrame:
    """Returns video_id and words, an array of strings such as `tag 7`, in order of video_id."""
    from pyspark.sql import functions as F

    named = [
        F.transform(F.coalesce("tags", F.array().cast("array<int>")), lambda tag: F.concat(F.lit("tag "), tag)),
        F.array(F.concat(F.lit("author "), "author_id")),
        F.array(F.concat(F.lit("length "), DURATION_BUCKET.name)),
        F.array(F.concat(F.lit("music "), "music_id")),
    ]
    described = videos.withColumn(DURATION_BUCKET.name, F.expr(DURATION_BUCKET_SQL))
    # A word of something unknown is null, and no word.
    return described.select("video_id", F.array_compact(F.concat(*named)).alias("words")).orderBy("video_id")


def content_matrix(listed: Sequence[Sequence[str]]) -> csr_array:
    """Returns float64 (videos, words), rows of length 1: WEIGHTS by kind × rarity, ln(videos / those with the word).

    Words that fewer than RARELY videos have are left out; a video without any word left is a row of 0.
    """
    import numpy as np
    from scipy.sparse import csr_array, diags_array

    lengths = np.asarray([len(of_video) for of_video in listed])
    flat = np.asarray([word for of_video in listed for word in of_video], dtype=object)
    vocabulary, columns, counts = np.unique(flat.astype(str), return_inverse=True, return_counts=True)
    kind = np.asarray([WEIGHTS[word.partition(" ")[0]] for word in vocabulary])
    weight = np.where(counts >= RARELY, kind * np.log(max(len(listed), 1) / np.maximum(counts, 1)), 0.0)
    rows = np.repeat(np.arange(len(listed)), lengths)
    matrix = csr_array((weight[columns], (rows, columns)), shape=(len(listed), len(vocabulary)))
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)))
    scaled: csr_array = (diags_array(1.0 / np.maximum(norms, 1e-12)) @ matrix).tocsr()
    return scaled
