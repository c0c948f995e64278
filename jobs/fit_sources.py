"""Fits tonight's candidate sources on the last 28 days."""

from __future__ import annotations

from core.job import Job, JobContext, log
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.source_models import TABLE as SOURCE_MODELS
from core.tables.videos import TABLE as VIDEOS
from models.history import DAYS


def run(ctx: JobContext) -> None:
    """Publishes the models of every source that the recipe serves, and of trending, which fills short feeds."""
    from functools import reduce

    from pyspark.sql import DataFrame
    from pyspark.sql import functions as F

    from models.serving import served_sources
    from models.source import Known, all_sources

    impressions = ctx.read_window(IMPRESSIONS, DAYS - 1).select(
        "user_id", "video_id", "shown_at", "shown_on", "is_long_view"
    )
    videos = ctx.read(VIDEOS).where("is_visible and not is_advert").select("video_id")
    known = Known(impressions.cache(), videos.cache(), ctx.ds, ctx.settings.seed)
    fitted = []
    for name in served_sources(ctx.recipe):
        log.info("fitting source %s", name)
        model = all_sources()[name].fit(known)
        fitted.append(
            model.withColumns({"source": F.lit(name), "ds": F.lit(ctx.ds)}).select(*SOURCE_MODELS.column_names)
        )
    ctx.publish(SOURCE_MODELS, reduce(DataFrame.unionByName, fitted))
    impressions.unpersist()
    videos.unpersist()


JOB = Job(
    name="fit_sources",
    doc=__doc__,
    owner="feed-candidates",
    reads=(IMPRESSIONS, VIDEOS),
    writes=(SOURCE_MODELS,),
    run=run,
)
