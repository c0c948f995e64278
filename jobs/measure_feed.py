"""Measures the feeds of the night as a whole: coverage, exposure, diversity, freshness, tiers, of new users too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.job import Job, JobContext, log
from core.tables.embeddings import TABLE as EMBEDDINGS
from core.tables.feed_metrics import TABLE as FEED_METRICS
from core.tables.feeds import TABLE as FEEDS
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.videos import SHOWABLE
from core.tables.videos import TABLE as VIDEOS
from models.history import DAYS

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame
    from scipy.sparse import csr_array

    from models.estimate import Estimate
    from models.feed_metrics import Floats, Integers

MOST_USERS = 5_000
"""Users whose lists are compared, drawn by hash where there are more; videos are counted over everyone's."""
DAYS_UNTIL_SERVED = 1
"""A feed made from the snapshot of one day is served on the next."""
TIERS = ("personal", "degraded", "popular")


def run(ctx: JobContext) -> None:
    """Publishes table feed_metrics for `ctx.ds`; no row where the recipe has no feed that night."""
    from pyspark.sql import functions as F

    from core.lake import spark_schema

    rows = measured(ctx, ctx.read(FEEDS).where(F.col("recipe") == ctx.recipe.name))
    if not rows:
        log.warning("recipe %s has no feed on %s: there is nothing to measure", ctx.recipe.name, ctx.ds)
    ctx.publish(FEED_METRICS, ctx.spark.createDataFrame(rows, spark_schema(FEED_METRICS)))


def measured(ctx: JobContext, feeds: DataFrame) -> list[dict[str, Any]]:
    """Returns the rows of table feed_metrics about `feeds`, one recipe's rows of table feeds; none for no feed."""
    from pyspark.sql import functions as F

    feeds = feeds.cache()
    users = feeds.select("user_id").distinct().cache()
    drawn = users.orderBy(F.xxhash64("user_id"), "user_id").limit(MOST_USERS)
    known = ctx.read_window(IMPRESSIONS, DAYS - 1).select("user_id").distinct().withColumn("is_known", F.lit(True))
    people = drawn.join(known, on="user_id", how="left").orderBy("user_id").toArrow()
    rows = []
    if people.num_rows:
        rows = [*_of_catalogue(ctx, feeds, users.count()), *_of_lists(ctx, feeds, people)]
    users.unpersist()
    feeds.unpersist()
    return rows


def _of_catalogue(ctx: JobContext, feeds: DataFrame, users: int) -> list[dict[str, Any]]:
    from pyspark.sql import functions as F

    from models.estimate import Estimate
    from models.feed_metrics import coverage, gini

    slots = feeds.groupBy("video_id").agg(F.count(F.lit(1)).alias("slots"))
    showable = ctx.read(VIDEOS).where(SHOWABLE).select("video_id")
    exposures = showable.join(slots, on="video_id", how="left").fillna(0, ["slots"]).select("slots").toArrow()
    counted = exposures["slots"].to_numpy()
    return [
        _row(ctx, "coverage", "all", Estimate(coverage(counted)), users),
        _row(ctx, "exposure_gini", "all", Estimate(gini(counted)), users),
    ]


def _of_lists(ctx: JobContext, feeds: DataFrame, people: pyarrow.Table) -> list[dict[str, Any]]:
    """Returns the rows about single feeds, of `people`: user_id, in order, and is_known, true or null."""
    import numpy as np

    from models.feed_metrics import diversity, means, per_user

    users = people["user_id"].to_numpy()
    drawn = ctx.spark.createDataFrame(people.select(["user_id"]))
    mine = feeds.join(drawn, on="user_id", how="left_semi").select("user_id", "video_id", "value", "tier")
    slots = mine.orderBy("user_id", "video_id").toArrow()
    user = np.searchsorted(users, slots["user_id"].to_numpy())
    ids, video = np.unique(slots["video_id"].to_numpy(), return_inverse=True)
    age, is_new, vectors = _about(ctx, ids)
    tier = slots["tier"].to_numpy()
    of_slots = {"age_days": age[video], "new_videos": is_new[video], "value": slots["value"].to_numpy()}
    of_slots |= {f"tier_{name}": np.where(tier == name, 1.0, 0.0) for name in TIERS}
    columns = {name: per_user(user, values, len(users)) for name, values in of_slots.items()}
    columns |= {f"diversity_{name}": diversity(user, video, found, len(users)) for name, found in vectors.items()}
    known = people["is_known"].fill_null(False).to_numpy()
    cohorts = {"all": known | True, "known": known, "new": ~known}
    figures = means(columns, cohorts, ctx.settings.seed)
    for cohort in ("known", "new"):
        share = means({"users": cohorts[cohort] * 1.0}, {"all": cohorts["all"]}, ctx.settings.seed)
        figures["users", cohort] = share["users", "all"]
    return [
        _row(ctx, metric, cohort, figure, int(cohorts[cohort].sum())) for (metric, cohort), figure in figures.items()
    ]


def _about(ctx: JobContext, ids: Integers) -> tuple[Floats, Floats, dict[str, csr_array]]:
    """Returns of the videos `ids`, sorted: days from upload to serving and 1 if new (NaN where that is not known), and
    their vectors of length 1, by tags and by every source that embedded any of them."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyspark.sql import functions as F
    from scipy.sparse import csr_array

    from models.feed_metrics import tag_vectors, unit_rows
    from models.sources.fresh import NEW_DAYS

    wanted = ctx.spark.createDataFrame(pa.table({"video_id": ids}))
    made = F.datediff(F.lit(ctx.ds), "uploaded_on").cast("double").alias("made")
    about = ctx.read(VIDEOS).select("video_id", made, F.coalesce("tags", F.array().cast("array<int>")).alias("tags"))
    facts = wanted.join(about, on="video_id", how="left").orderBy("video_id").toArrow()
    days = facts["made"].fill_null(np.nan).to_numpy()
    tags = facts["tags"].combine_chunks()
    counts = tags.value_lengths().fill_null(0).to_numpy()
    vectors = {"tags": unit_rows(tag_vectors(tags.flatten().to_numpy(), counts))}
    named = ctx.read(EMBEDDINGS) if ctx.ds in ctx.days_of(EMBEDDINGS) else None
    if named is not None:
        of_videos = named.where("kind = 'video'").withColumnRenamed("entity_id", "video_id")
        found = of_videos.join(wanted, on="video_id", how="left_semi").select("source", "video_id", "embedding")
        rows = found.orderBy("source", "video_id").toArrow()
        for source in rows["source"].unique().to_pylist():
            mine = rows.filter(pc.equal(rows["source"], source))
            dense = np.stack(mine["embedding"].to_numpy()).astype(np.float64)
            placed = np.zeros((len(ids), dense.shape[1]))
            placed[np.searchsorted(ids, mine["video_id"].to_numpy())] = dense
            vectors[source] = unit_rows(csr_array(placed))
    is_new = np.where(np.isnan(days), np.nan, days < NEW_DAYS)
    return days + DAYS_UNTIL_SERVED, is_new, vectors


def _row(ctx: JobContext, metric: str, cohort: str, figure: Estimate, users: int) -> dict[str, Any]:
    return {
        "recipe": ctx.recipe.name,
        "metric": metric,
        "cohort": cohort,
        "value": figure.value,
        "low": figure.low,
        "high": figure.high,
        "users": users,
        "ds": ctx.ds,
    }


JOB = Job(
    name="measure_feed",
    doc=__doc__,
    owner="feed-ranking",
    reads=(FEEDS, IMPRESSIONS, VIDEOS, EMBEDDINGS),
    writes=(FEED_METRICS,),
    run=run,
)
