"""Scores candidates with the champion: calibrated heads, the recipe's value and its terms; each user's best stay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from core.errors import MissingDataError
from core.job import Job, JobContext
from core.tables.candidates import TABLE as CANDIDATES
from core.tables.scored_candidates import TABLE as SCORED_CANDIDATES
from core.tables.videos import TABLE as VIDEOS
from features.catalog import feature_names
from jobs import _knowledge
from models.heads import HEADS

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame

    from models.ranker import Ranker

KEPT = 150
"""Candidates a user that go on to the rules, best first."""


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
    rows = feed_rows(ctx.read(CANDIDATES), ctx.read(VIDEOS), ctx.recipe.surface)
    joined = vectors(rows, known).select("user_id", "video_id", "sources", "features")
    scored = _best(_valued(_predicted(joined, ranker), ctx.recipe.value))
    final = scored.withColumns({"is_degraded": F.lit(bool(late)), "model": F.lit(ranker.model_id), "ds": F.lit(ctx.ds)})
    ctx.publish(SCORED_CANDIDATES, final.select(*SCORED_CANDIDATES.column_names))


def feed_rows(candidates: DataFrame, videos: DataFrame, surface: int) -> DataFrame:
    """Returns `candidates` as the rows that features.point_in_time takes: shown on `surface` the day after `ds`."""
    from pyspark.sql import functions as F

    from features.point_in_time import UPLOAD_COLUMNS

    about = videos.select("video_id", "author_id", "tag_id", "duration_ms", *UPLOAD_COLUMNS)
    rows = candidates.select("user_id", "video_id", "sources", F.col("ds").alias("snapshot_ds"))
    return rows.join(F.broadcast(about), on="video_id", how="inner").withColumns(
        {"surface": F.lit(surface), "shown_on": F.date_add("snapshot_ds", 1)}
    )


def _predicted(rows: DataFrame, ranker: Ranker) -> DataFrame:
    """Returns `rows` with `predictions`, array<double> in the order of HEADS, instead of features."""
    chosen = ranker.columns_in(feature_names())
    order = [ranker.heads.index(head.name) for head in HEADS]

    def predict(batches: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        import numpy as np
        import pyarrow as pa

        for batch in batches:
            if not batch.num_rows:
                continue
            wide = batch.column("features").flatten().to_numpy(zero_copy_only=False).reshape(batch.num_rows, -1)
            predictions = ranker.predict(np.ascontiguousarray(wide[:, chosen], dtype=np.float32))[:, order]
            offsets = np.arange(0, predictions.size + 1, predictions.shape[1], dtype=np.int32)
            lists = pa.ListArray.from_arrays(offsets, predictions.ravel())
            kept = [batch.column(name) for name in ("user_id", "video_id", "sources")]
            yield pa.RecordBatch.from_arrays([*kept, lists], names=["user_id", "video_id", "sources", "predictions"])

    return rows.mapInArrow(
        predict,
        "user_id bigint, video_id bigint, sources array<struct<source:string,rank:int,score:double>>, "
        "predictions array<double>",
    )


def _valued(rows: DataFrame, weights: dict[str, float]) -> DataFrame:
    """Returns `rows` with `terms`, one per head, and `value`, their sum."""
    from pyspark.sql import functions as F

    terms = F.array(
        *[
            F.struct(
                F.lit(head.name).alias("head"),
                F.col("predictions")[place].alias("prediction"),
                F.lit(weights[head.name]).alias("weight"),
                (F.col("predictions")[place] * F.lit(weights[head.name])).alias("term"),
            )
            for place, head in enumerate(HEADS)
        ]
    )
    value = F.aggregate("terms", F.lit(0.0), lambda total, term: total + term["term"])
    return rows.withColumn("terms", terms).withColumn("value", value).drop("predictions")


def _best(scored: DataFrame) -> DataFrame:
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    order = Window.partitionBy("user_id").orderBy(F.desc("value"), "video_id")
    return scored.withColumn("place", F.row_number().over(order)).where(F.col("place") <= KEPT).drop("place")


JOB = Job(
    name="score_candidates",
    doc=__doc__,
    owner="feed-ranking",
    reads=(CANDIDATES, *_knowledge.TABLES),
    writes=(SCORED_CANDIDATES,),
    run=run,
)
