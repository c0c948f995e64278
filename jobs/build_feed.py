"""Turns scored candidates into tomorrow's feeds: the recipe's rules, then slots, then one atomic publish."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from core.errors import ContractError
from core.job import Job, JobContext, log
from core.tables.feeds import TABLE as FEEDS
from core.tables.feeds import TERMS
from core.tables.source_fits import TABLE as SOURCE_FITS
from core.tables.users import TABLE as USERS
from jobs._publications import validity
from jobs._slate_inputs import TABLES, SlateInputs, slate_inputs
from models.serving import FALLBACK

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame
    from pyspark.sql.window import WindowSpec


def run(ctx: JobContext) -> None:
    """Publishes a feed for every user of table users.

    Raises ContractError where a user would have none at all, though there is something left to show.
    """
    inputs = slate_inputs(ctx, ctx.read(USERS))
    feed, slots = made(ctx, inputs)
    _check_lengths(feed, inputs, ctx.recipe.length)
    _tell_costs(slots, [rule.name for rule, _ in inputs.plan.steps])
    ctx.publish(FEEDS, feed)
    for kept in (feed, slots, inputs.met):
        kept.unpersist()


def made(ctx: JobContext, inputs: SlateInputs) -> tuple[DataFrame, DataFrame]:
    """Returns the feeds of the users of `inputs`, rows of table feeds of the night `ctx.ds`, and their slates as
    models.slate makes them; both cached."""
    from pyspark.sql import functions as F

    from models.slate import SLATE_DDL, slates
    from models.value import terms_sql

    plan = inputs.plan

    def fill(batches: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        for batch in batches:
            yield from slates(batch, plan)

    slots = inputs.asking.mapInArrow(fill, SLATE_DDL).cache()
    fallback = F.array(F.struct(F.lit(FALLBACK).alias("source"), F.col("place").alias("rank"), F.col("score")))
    about = inputs.popular.select("video_id", "score", F.row_number().over(_by_score()).alias("place"))
    feed = (
        slots.join(inputs.scored.drop("ds"), on=["user_id", "video_id"], how="left")
        .join(inputs.sources, on=["user_id", "video_id"], how="left")
        .join(F.broadcast(about), on="video_id", how="left")
        .select(
            F.lit(ctx.recipe.name).alias("recipe"),
            "user_id",
            "slot",
            "video_id",
            F.coalesce("value", F.lit(0.0)).alias("value"),
            F.expr(f"if(value is null, cast(array() as {TERMS}), {terms_sql(ctx.recipe.value)})").alias("terms"),
            F.coalesce("sources", fallback).alias("sources"),
            F.when(F.col("is_degraded") & (F.col("tier") == "personal"), "degraded")
            .otherwise(F.col("tier"))
            .alias("tier"),
            "rules",
            "is_exploration",
            "propensity",
            F.lit(_absent(ctx)).cast("array<string>").alias("absent_sources"),
            F.coalesce("model", F.lit("")).alias("model"),
            "features_hash",
            F.coalesce("snapshot_version", F.lit("")).alias("snapshot_version"),
            F.lit(ctx.recipe.hash).alias("recipe_hash"),
            *[F.lit(value).alias(name) for name, value in validity(ctx.settings, ctx.ds).items()],
            F.lit(ctx.ds).alias("ds"),
        )
        .cache()
    )
    return feed, slots


def _absent(ctx: JobContext) -> list[str]:
    """Returns the sources of the recipe that had no model tonight."""
    fitted = {row["source"] for row in ctx.read(SOURCE_FITS).where("state = 'fitted'").collect()}
    return sorted(ctx.recipe.sources.keys() - fitted)


def _by_score() -> WindowSpec:
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    return Window.partitionBy("part").orderBy(F.desc("score"), "video_id")


def _tell_costs(slots: DataFrame, rules: list[str]) -> None:
    """Logs what each rule, given those before it, and exploration change in the predicted value of a feed."""
    from pyspark.sql import functions as F

    steps = [*rules, "exploration"]
    means = [F.avg(F.col("values")[place]).alias(f"after_{place}") for place in range(len(steps) + 1)]
    value = slots.where("slot = 1").agg(*means).collect()[0]
    for place, name in enumerate(steps):
        before, after = value[place] or 0.0, value[place + 1] or 0.0
        log.info("%s: predicted value of a feed from %.4f to %.4f on average", name, before, after)


def _check_lengths(feed: DataFrame, inputs: SlateInputs, length: int) -> None:
    """Logs short feeds, and users to whom nothing is left to show; raises ContractError where others have no feed."""
    from pyspark.sql import functions as F

    lengths = feed.groupBy("user_id").agg(F.count(F.lit(1)).alias("slots"))
    of_authors = inputs.videos.where("is_showable").groupBy("author_id").count()
    showable = of_authors.agg(F.sum("count")).collect()[0][0] or 0
    kept_out = inputs.blocked.join(F.broadcast(of_authors), on="author_id")
    kept_out = kept_out.groupBy("user_id").agg(F.sum("count").alias("out"))
    there = inputs.met.select("user_id", "seen").join(lengths, on="user_id", how="left")
    there = there.join(kept_out, on="user_id", how="left").cache()
    left = F.lit(showable) - F.size("seen") - F.coalesce("out", F.lit(0))
    without = there.where(F.col("slots").isNull() & (left > 0)).count()
    users, none, short = there.agg(
        F.count(F.lit(1)), F.count_if(F.col("slots").isNull()), F.count_if(F.col("slots") < length)
    ).collect()[0]
    there.unpersist()
    if without:
        raise ContractError(
            f"{without:,} of {users:,} users would have no feed",
            where="table feeds: nothing was published",
            next_step="look at tables source_models and videos of that day: is anything left to show?",
        )
    if none:
        log.warning(
            "%s of %s users have seen or blocked everything there is and get no feed", f"{none:,}", f"{users:,}"
        )
    if short:
        log.warning("%s of %s feeds are shorter than %s videos", f"{short:,}", f"{users:,}", length)


JOB = Job(
    name="build_feed",
    doc=__doc__,
    owner="feed-ranking",
    reads=(*TABLES, SOURCE_FITS),
    writes=(FEEDS,),
    run=run,
)
