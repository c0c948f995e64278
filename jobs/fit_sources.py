"""Fits tonight's candidate sources on the last 28 days."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import MissingDataError
from core.job import Job, JobContext, alert
from core.tables.embeddings import TABLE as EMBEDDINGS
from core.tables.source_fits import TABLE as SOURCE_FITS
from core.tables.source_models import TABLE as SOURCE_MODELS
from jobs import _sources

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

EXPERIMENT = "candidate_sources"


def run(ctx: JobContext) -> None:
    """Publishes the models of every source that the recipe serves, and of the one that fills short feeds.

    Raises MissingDataError where not one could be fitted.
    """
    from functools import reduce

    from pyspark.sql import DataFrame
    from pyspark.sql import functions as F

    from core.lake import spark_schema
    from models.serving import served_sources

    known = _sources.known_on(ctx, ctx.ds)
    models, states = _sources.fit_all(known, served_sources(ctx.recipe))
    rows = [(name, *state, ctx.ds) for name, state in states.items()]
    ctx.publish(SOURCE_FITS, ctx.spark.createDataFrame(rows, spark_schema(SOURCE_FITS)))
    for name, (state, _, why) in states.items():
        if state == _sources.FAILED:
            alert.error("ALERT owner=%s feeds of %s are made without source %s: %s", JOB.owner, ctx.ds, name, why)
    if not models:
        raise MissingDataError(
            "no source of the recipe could be fitted", where="table source_fits says why", choices=states
        )
    named = [
        model.withColumns({"source": F.lit(name), "ds": F.lit(ctx.ds)}).select(*SOURCE_MODELS.column_names)
        for name, model in models.items()
    ]
    published = ctx.publish(SOURCE_MODELS, reduce(DataFrame.unionByName, named))
    ctx.publish(EMBEDDINGS, _embeddings(reduce(DataFrame.unionByName, named), published.days[str(ctx.ds)].hash))
    _track(ctx, states)
    ctx.spark.catalog.clearCache()


def _embeddings(models: DataFrame, model: str) -> DataFrame:
    """Returns the rows of table embeddings out of those of source_models, whose content hash is `model`."""
    from pyspark.sql import functions as F

    vectors = models.where(F.size("embedding") > 0)
    return vectors.select(
        "source", F.col("part").alias("kind"), "entity_id", "embedding", F.lit(model).alias("model"), "ds"
    )


def _track(ctx: JobContext, states: dict[str, tuple[str, int, str]]) -> None:
    """Logs what was fitted to MLflow, with the version of the table that holds it."""
    import json

    import mlflow

    from core import tracking
    from models.serving import served_sources

    params = {f"quota.{name}": ctx.recipe.sources.get(name, 0) for name in served_sources(ctx.recipe)}
    tags = {"recipe_hash": ctx.recipe.hash, "ds": str(ctx.ds)} | {
        f"version {publish.table}": str(publish.version) for publish in ctx.published
    }
    with tracking.run(ctx.settings, EXPERIMENT, f"{ctx.recipe.name} {ctx.ds}", params=params, tags=tags):
        mlflow.log_metrics({f"rows.{name}": float(rows) for name, (_, rows, _) in states.items()})
        told = {name: {"state": state, "rows": rows, "reason": why} for name, (state, rows, why) in states.items()}
        mlflow.log_text(json.dumps(told, indent=1), "sources.json")


JOB = Job(
    name="fit_sources",
    doc=__doc__,
    owner="feed-candidates",
    reads=_sources.TABLES,
    writes=(SOURCE_MODELS, SOURCE_FITS, EMBEDDINGS),
    run=run,
)
