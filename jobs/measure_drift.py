"""Measures how far each feature has moved on the newest days from what the ranker learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.job import Job, JobContext, log
from core.tables.feature_drift import TABLE as FEATURE_DRIFT
from core.tables.training_examples import TABLE as TRAINING_EXAMPLES

if TYPE_CHECKING:
    from models.drift import Floats

MOST_ROWS = 200_000
"""Rows of all parts together that are compared, taken evenly from all there are."""
BEFORE, NOW = "train", "test"
"""Parts of the training examples that are compared: what trees are grown from, and the newest days."""


def run(ctx: JobContext) -> None:
    """Publishes table feature_drift for `ctx.ds`, and logs what is worth a look; no row where a part has none."""
    from core.lake import spark_schema
    from features.catalog import categorical_names, feature_names
    from models.drift import drifts

    parts = _drawn(ctx)
    found = []
    if BEFORE in parts and NOW in parts:
        found = drifts(parts[BEFORE], parts[NOW], feature_names(), categorical_names())
    told = {f"rows_{when}": len(parts.get(part, ())) for when, part in (("before", BEFORE), ("now", NOW))}
    rows = [vars(one) | told | {"ds": ctx.ds} for one in found]
    ctx.publish(FEATURE_DRIFT, ctx.spark.createDataFrame(rows, spark_schema(FEATURE_DRIFT)))
    moved = [one.feature for one in found if one.is_worth_a_look]
    if moved:
        log.warning("measure_drift: %s of %s features have moved, %s first", len(moved), len(found), moved[:5])


def _drawn(ctx: JobContext) -> dict[str, Floats]:
    """Returns features, (rows, features), of rows drawn evenly from each part."""
    import numpy as np
    import pyarrow.compute as pc

    from features.fingerprint import matrix

    every = -(-ctx.lake.partitions(TRAINING_EXAMPLES, [ctx.ds])[str(ctx.ds)].rows // MOST_ROWS)
    found: dict[str, list[Floats]] = {}
    for batch in ctx.read_batches(TRAINING_EXAMPLES, ("part", "features")):
        for part in (BEFORE, NOW):
            mine = batch.filter(pc.equal(batch.column("part"), part))
            if mine.num_rows:
                found.setdefault(part, []).append(matrix(mine)[::every])
    return {part: np.concatenate(batches) for part, batches in found.items()}


JOB = Job(
    name="measure_drift",
    doc=__doc__,
    owner="feed-ranking",
    reads=(TRAINING_EXAMPLES,),
    writes=(FEATURE_DRIFT,),
    run=run,
)
