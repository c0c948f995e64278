"""Judges tonight's feeds by what users complain about, and serves them from now on, or withholds them with reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.config import load
from core.job import Job, JobContext, alert, log
from core.settings import CONF
from core.tables.blocked_authors import TABLE as BLOCKED_AUTHORS
from core.tables.fallback_feeds import TABLE as FALLBACK_FEEDS
from core.tables.feeds import TABLE as FEEDS
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.publications import TABLE as PUBLICATIONS
from core.tables.source_models import TABLE as SOURCE_MODELS
from core.tables.users import TABLE as USERS
from core.tables.videos import SHOWABLE
from core.tables.videos import TABLE as VIDEOS
from jobs._publications import LATE, Decision, every_row, served, validity
from models.feed_checks import Check, Limits, checked
from models.history import DAYS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def run(ctx: JobContext) -> None:
    """Publishes the fallback lists and, by one commit of one row, the decision about the feeds of `ctx.ds`.

    Feeds that were published already are not judged again, so that a night that is run again changes nothing and does
    not undo a rollback; feeds of a night before the one that is served are withheld.
    """
    from pyspark.sql import functions as F

    from core.lake import spark_schema
    from models.fallbacks import fallback_lists

    showable = ctx.read(VIDEOS).where(SHOWABLE).select("video_id", "author_id")
    users = ctx.read(USERS).select("user_id", "activity")
    lists = fallback_lists(ctx.read(SOURCE_MODELS), users, showable, ctx.recipe.length)
    named = lists.select(F.lit(ctx.recipe.name).alias("recipe"), "*", F.lit(ctx.ds).alias("ds"))
    fallbacks = ctx.publish(FALLBACK_FEEDS, named)
    checks = _checked(ctx, showable, users)
    version = ctx.reads[FEEDS.name]
    rows = every_row(ctx.lake)
    decision = decide(
        ctx,
        [row for row in rows if row["recipe"] == ctx.recipe.name],
        checks,
        {
            "feeds_version": version,
            "fallbacks_version": fallbacks.version,
            "content_hash": ctx.lake.partitions(FEEDS, [ctx.ds], version)[str(ctx.ds)].hash,
        },
    )
    tonight = [row for row in rows if row["ds"] == ctx.ds] + ([decision] if decision else [])
    ctx.publish(PUBLICATIONS, ctx.spark.createDataFrame(tonight, spark_schema(PUBLICATIONS)))


def _checked(ctx: JobContext, showable: DataFrame, users: DataFrame) -> list[Check]:
    from pyspark.sql import functions as F

    feeds = ctx.read(FEEDS).where(F.col("recipe") == ctx.recipe.name)
    met = ctx.read_window(IMPRESSIONS, DAYS - 1).select("user_id", "video_id").distinct()
    limits = load(Limits, CONF / "publish.toml")
    return checked(feeds, met, users, showable, ctx.read(BLOCKED_AUTHORS), ctx.recipe.length, limits)


def decide(
    ctx: JobContext, decisions: list[Decision], checks: list[Check], content: dict[str, object]
) -> Decision | None:
    """Returns the decision to add to `decisions`, all about this recipe and in any order; None where there is none to
    make. `content` names the feeds: feeds_version, fallbacks_version, content_hash."""
    decisions = sorted(decisions, key=lambda row: row["number"])
    same = [row for row in decisions if (row["ds"], row["content_hash"]) == (ctx.ds, content["content_hash"])]
    if any(row["action"] == "published" for row in same):
        log.info("publish_feeds: these feeds of %s were published already", ctx.ds)
        return None
    now = served(decisions)
    reasons, stops = [str(check) for check in checks], [str(check) for check in checks if not check.holds]
    if now is not None and now["feeds_ds"] > ctx.ds:
        stops.append(f"{LATE}feeds of {now['feeds_ds']} are served, which are newer")
        reasons.append(stops[-1])
    if stops:
        standing = f"publication {now['number']} of {now['feeds_ds']}" if now else "nothing"
        alert.error("ALERT owner=%s feeds of %s are withheld: %s", JOB.owner, ctx.ds, "; ".join(stops))
        alert.error("%s goes on being served", standing)
    if stops and same and same[-1]["reasons"] == reasons:
        return None
    number = 1 + max((row["number"] for row in decisions), default=0)
    return {
        "recipe": ctx.recipe.name,
        "number": number,
        "action": "withheld" if stops else "published",
        "origin": number,
        "feeds_ds": ctx.ds,
        **content,
        "reasons": reasons,
        **validity(ctx.settings, ctx.ds),
        "previous": now["number"] if now else None,
        "ds": ctx.ds,
    }


JOB = Job(
    name="publish_feeds",
    doc=__doc__,
    owner="feed-ranking",
    reads=(FEEDS, IMPRESSIONS, USERS, BLOCKED_AUTHORS, VIDEOS, SOURCE_MODELS, PUBLICATIONS),
    writes=(FALLBACK_FEEDS, PUBLICATIONS),
    run=run,
)
