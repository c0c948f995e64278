"""Fits the factorisation machine of long views that the ranker averages its trees with, on what had arrived by then."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from core.job import Job, JobContext, log
from core.settings import SplitSettings
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.machine_factors import RANK
from core.tables.machine_factors import TABLE as MACHINE_FACTORS
from core.tables.videos import TABLE as VIDEOS
from jobs._drawn import drawn

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

WINDOW_DAYS = 28
ROWS_AT_MOST = 2_000_000
"""Impressions to learn from, drawn by hash where there are more: one process holds and fits them."""


def run(ctx: JobContext) -> None:
    """Publishes what a machine fitted at the end of each day knows, the last days' of a long range alone.

    Of earlier days nothing is ever asked: no tree learns from it, only rows held out are predicted with it.
    """
    from functools import reduce

    from pyspark.sql import DataFrame

    from core.lake import spark_schema

    recent = asked_of(ctx.settings.split)
    frames = [ctx.spark.createDataFrame(_rows(ctx, day), spark_schema(MACHINE_FACTORS)) for day in ctx.days[-recent:]]
    ctx.publish(MACHINE_FACTORS, reduce(DataFrame.unionByName, frames))


def asked_of(split: SplitSettings) -> int:
    """Returns of how many last days, tonight's among them, a training that night asks: those that rows held out saw."""
    return split.test_days + split.validate_days + 2


def _rows(ctx: JobContext, day: date) -> pa.Table:
    """Returns the rows of table machine_factors of `day`."""
    import numpy as np
    import pyarrow as pa

    from models import machine
    from models.factorisation import Plan, fit

    first = day - timedelta(days=WINDOW_DAYS - 1)
    shown = ctx.read(IMPRESSIONS, [each for each in ctx.days_of(IMPRESSIONS) if first <= each <= day])
    learnt = sampled(shown).toArrow()
    # In one order, whatever order Spark hands the rows over in: sums of floats depend on it.
    learnt = learnt.sort_by([("user_id", "ascending"), ("shown_at", "ascending"), ("video_id", "ascending")])
    labels = learnt["is_long_view"].to_numpy(zero_copy_only=False).astype(np.float64)
    fitted = fit(machine.fields(learnt), labels, ctx.settings.seed, Plan(RANK))
    videos = ctx.read(VIDEOS, [day]).select("video_id", "author_id", "tag_id", "duration_ms").toArrow()
    found = machine.factors(fitted, machine.fields(videos, machine.OF_VIDEO))
    log.info("%s: fitted on %s impressions until then", day, f"{learnt.num_rows:,}")
    return pa.table(
        {
            "part": found.part,
            "entity_id": found.entity,
            "bias": found.bias,
            "vector": pa.FixedSizeListArray.from_arrays(found.vector.astype(np.float32).ravel(), RANK).cast(
                pa.list_(pa.float32())
            ),
            "square": found.square,
            "ds": np.repeat(np.datetime64(day, "D"), len(found.part)),
        }
    )


def sampled(shown: DataFrame) -> DataFrame:
    """Returns the columns of the impressions `shown` that a machine learns from, of about ROWS_AT_MOST of them.

    Which rows stay is a hash of their key.
    """
    columns = ("user_id", "video_id", "author_id", "tag_id", "surface", "duration_ms", "shown_at", "is_long_view")
    share = ROWS_AT_MOST / max(ROWS_AT_MOST, shown.count())
    return shown.where(drawn("machine") < share).select(*columns)


JOB = Job(
    name="fit_machine",
    doc=__doc__,
    owner="feed-ranking",
    reads=(IMPRESSIONS, VIDEOS),
    writes=(MACHINE_FACTORS,),
    run=run,
    spans=True,
)
