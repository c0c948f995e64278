"""Scores candidates with the champion: calibrated heads, and the recipe's value of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from core.errors import MissingDataError
from core.job import Job, JobContext
from core.tables.candidates import TABLE as CANDIDATES
from core.tables.scored_candidates import TABLE as SCORED_CANDIDATES
from core.tables.videos import TABLE as VIDEOS
from features.catalog import feature_names
from features.fingerprint import fingerprints, matrix
from jobs import _knowledge
from models.heads import HEADS
from models.value import values

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame

    from models.ranker import Ranker


def run(ctx: JobContext) -> None:
    """Publishes the scored candidates of every user who has candidates.

    Raises MissingDataError where the recipe has no champion, UsageError where its weights do not fit the heads,
    ContractError where the champion needs features that are gone.
    """
    from pyspark.sql import functions as F

    from features.point_in_time import vectors
    from models.registry import champion
    from models.value import check_weights

    check_weights(ctx.recipe.value, f"conf/feeds/{ctx.recipe.name}.toml [value]")
    # The champion as the night found it, so that the same night run again scores with the same one.
    serving = champion(ctx.settings, ctx.recipe.name, before=ctx.ds) or champion(ctx.settings, ctx.recipe.name)
    if serving is None:
        raise MissingDataError(
            f"recipe {ctx.recipe.name!r} has no champion to score with",
            where=f"MLflow registry, model reelfeed-{ctx.recipe.name}",
            next_step=f"reelfeed run build_training_set train_ranker evaluate promote --ds {ctx.ds}",
        )
    ranker, _ = serving
    known, late = _knowledge.knowledge(ctx, [ctx.ds])
    asked = ctx.read(CANDIDATES).select("user_id", "video_id", "ds")
    rows = _knowledge.feed_rows(asked, ctx.read(VIDEOS), ctx.recipe.surface)
    scored = _scored(vectors(rows, known).select("user_id", "video_id", "features"), ranker, ctx.recipe.value)
    final = scored.withColumns({"is_degraded": F.lit(bool(late)), "model": F.lit(ranker.model_id), "ds": F.lit(ctx.ds)})
    ctx.publish(SCORED_CANDIDATES, final.select(*SCORED_CANDIDATES.column_names))


def _scored(rows: DataFrame, ranker: Ranker, weights: Mapping[str, float]) -> DataFrame:
    """Returns user_id, video_id, value, predictions (in the order of HEADS) and features_hash of `rows`."""
    chosen = ranker.columns_in(feature_names())
    order = [ranker.heads.index(head.name) for head in HEADS]

    def predict(batches: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        import numpy as np
        import pyarrow as pa

        for batch in batches:
            if not batch.num_rows:
                continue
            wide = matrix(batch)
            predictions = ranker.predict(np.ascontiguousarray(wide[:, chosen], dtype=np.float32))[:, order]
            offsets = np.arange(0, predictions.size + 1, predictions.shape[1], dtype=np.int32)
            made = {
                "user_id": batch.column("user_id"),
                "video_id": batch.column("video_id"),
                "value": pa.array(values(predictions, weights)),
                "predictions": pa.ListArray.from_arrays(offsets, predictions.ravel()),
                "features_hash": pa.array(fingerprints(wide)),
            }
            yield pa.RecordBatch.from_arrays(list(made.values()), names=list(made))

    ddl = "user_id bigint, video_id bigint, value double, predictions array<double>, features_hash bigint"
    return rows.mapInArrow(predict, ddl)


JOB = Job(
    name="score_candidates",
    doc=__doc__,
    owner="feed-ranking",
    reads=(CANDIDATES, *_knowledge.TABLES),
    writes=(SCORED_CANDIDATES,),
    run=run,
)
