"""Feature vectors to calibrated predictions and the one value of them, in Arrow batches on the executors."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from features.catalog import feature_names
from features.fingerprint import fingerprints, matrix
from models.heads import HEADS
from models.value import values

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame

    from models.ranker import Ranker
    from models.varied import UserWeights

log = logging.getLogger("reelfeed")


def predicted(rows: DataFrame, ranker: Ranker, weights: UserWeights) -> DataFrame:
    """Returns user_id, video_id, value, predictions (in the order of HEADS), weights, features_hash of `rows`.

    Column weights, in the same order, is null where `weights` are the same for all users.

    A head that is younger than `ranker` is predicted as 0, and a warning names it: a champion serves on until one that
    has learned the head is promoted.
    """
    chosen = ranker.columns_in(feature_names())
    there = [place for place, head in enumerate(HEADS) if head.name in ranker.heads]
    order = [ranker.heads.index(HEADS[place].name) for place in there]
    absent = [head.name for head in HEADS if head.name not in ranker.heads]
    if absent:
        log.warning("ranker %s was trained without %s: predicted as 0", ranker.model_id, ", ".join(absent))

    def predict(batches: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        import numpy as np
        import pyarrow as pa

        for batch in batches:
            if not batch.num_rows:
                continue
            wide = matrix(batch)
            predictions = np.zeros((len(wide), len(HEADS)))
            predictions[:, there] = ranker.predict(np.ascontiguousarray(wide[:, chosen], dtype=np.float32))[:, order]
            offsets = np.arange(0, predictions.size + 1, predictions.shape[1], dtype=np.int32)
            of_users = weights.of(batch.column("user_id").to_numpy())
            drawn = pa.nulls(len(wide), pa.list_(pa.float64()))
            if weights.varied:
                columns = [np.broadcast_to(of_users[head.name], len(wide)) for head in HEADS]
                drawn = pa.ListArray.from_arrays(offsets, np.column_stack(columns).ravel())
            made = {
                "user_id": batch.column("user_id"),
                "video_id": batch.column("video_id"),
                "value": pa.array(values(predictions, of_users)),
                "predictions": pa.ListArray.from_arrays(offsets, predictions.ravel()),
                "weights": drawn,
                "features_hash": pa.array(fingerprints(wide)),
            }
            yield pa.RecordBatch.from_arrays(list(made.values()), names=list(made))

    ddl = (
        "user_id bigint, video_id bigint, value double, predictions array<double>, weights array<double>, "
        "features_hash bigint"
    )
    return rows.select("user_id", "video_id", "features").mapInArrow(predict, ddl)
