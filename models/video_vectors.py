"""What rules compare videos by: the two towers' vectors of them, or their first tags where there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

SOURCE = "two_tower"


def video_vectors(embeddings: DataFrame, videos: DataFrame) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Returns ascending video ids, and vectors of length 1, (videos + 1, dimensions); the last, of zeros, is for any
    video that has none.

    `embeddings` are a day's rows of that table. Where it has none of SOURCE, a vector is 1 at the video's tag_id of
    `videos` and 0 elsewhere; a tag_id below 0 is none.
    """
    import numpy as np

    learned = embeddings.where(f"source = '{SOURCE}' and kind = 'video'")
    rows = learned.select("entity_id", "embedding").orderBy("entity_id").toArrow()
    if rows.num_rows:
        ids = rows["entity_id"].to_numpy()
        flat = np.asarray(rows["embedding"].combine_chunks().flatten(), np.float32).reshape(len(ids), -1)
    else:
        tagged = videos.where("tag_id >= 0").select("video_id", "tag_id").orderBy("video_id").toArrow()
        ids = tagged["video_id"].to_numpy()
        tags, place = np.unique(tagged["tag_id"].to_numpy(), return_inverse=True)
        flat = np.eye(max(len(tags), 1), dtype=np.float32)[place]
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    unit = np.divide(flat, lengths, out=np.zeros_like(flat), where=lengths > 0)
    return ids, np.vstack([unit, np.zeros((1, flat.shape[1]), np.float32)])
