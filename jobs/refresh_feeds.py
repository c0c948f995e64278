"""Makes the feeds of those who were active today anew: without what they have seen since, with what is new or trends.

Users, features, scores and the champion stay those of the night. Only two sources learn from the day in progress:
trending counts its impressions, fresh its uploads and showings; what these two name beyond the night's candidates is
scored, with the features of the night, and stands beside them.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from core.config import load
from core.errors import ContractError
from core.job import Job, JobContext, log
from core.settings import CONF
from core.tables.blocked_authors import TABLE as BLOCKED_AUTHORS
from core.tables.candidates import TABLE as CANDIDATES
from core.tables.feeds import TABLE as FEEDS
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.publications import TABLE as PUBLICATIONS
from core.tables.refreshed_feeds import TABLE as REFRESHED_FEEDS
from core.tables.scored_candidates import TABLE as SCORED_CANDIDATES
from core.tables.source_fits import TABLE as SOURCE_FITS
from core.tables.todays_impressions import TABLE as TODAYS_IMPRESSIONS
from core.tables.todays_videos import TABLE as TODAYS_VIDEOS
from core.tables.videos import SHOWABLE
from jobs import _knowledge, _sources
from jobs._publications import Decision
from jobs._slate_inputs import TABLES, inputs_of
from jobs._today import arrived_until, begin_of, edition_to_refresh, hour_of, night_before
from jobs.build_feed import made
from jobs.score_candidates import scored
from models.feed_checks import Limits, checked
from models.history import DAYS
from models.serving import FALLBACK

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

LEARN_TODAY = ("fresh", "trending")
"""The sources that are fitted anew, with the day's impressions and uploads."""


def run(ctx: JobContext) -> None:
    """Publishes the feeds made at hour `ctx.hour` of `ctx.ds`, beside those of the day's other hours.

    Users are those who were shown something today and have a feed in the edition that is served. Raises UsageError
    without an hour; MissingDataError and ContractError where the day has not arrived until that hour, where the night
    before is not what is served, and where the recipe has changed since; ContractError where a feed breaks what
    publish_feeds asks of the night's.
    """
    from pyspark.sql import functions as F

    from models.history import histories

    hour, night, began = hour_of(ctx), night_before(ctx), time.monotonic()
    edition = edition_to_refresh(night)
    _check_arrived(ctx, hour)
    today, videos = ctx.read(TODAYS_IMPRESSIONS).cache(), ctx.read(TODAYS_VIDEOS).cache()
    fed = _fed(ctx, edition)
    # Checkpoints, here and below: planning all of it as one query would take longer than running it.
    users = today.select("user_id").distinct().join(fed, on="user_id", how="left_semi").localCheckpoint()
    pairs = ("user_id", "video_id", "shown_at")
    shown = night.read_window(IMPRESSIONS, DAYS - 1).select(*pairs).unionByName(today.select(*pairs))
    shown = shown.join(users, on="user_id", how="left_semi")
    met = histories(shown, users).localCheckpoint()
    lists = _refitted(night, today, videos)
    new = _newly_proposed(night, lists, met).localCheckpoint()
    old = night.read(SCORED_CANDIDATES).join(users, on="user_id", how="left_semi")
    named = night.read(CANDIDATES).join(new, on=["user_id", "video_id"], how="left_anti")
    sources = named.unionByName(new).select("user_id", "video_id", "sources")
    every = old.unionByName(_scored(night, new, videos)).localCheckpoint()
    inputs = inputs_of(night, met, every, sources, lists[FALLBACK], videos)
    feed, _ = made(night, inputs)
    _check(ctx, feed, shown, users, videos, night.read(BLOCKED_AUTHORS))
    told = {"hour": hour, "publication": edition["number"], "valid_from": begin_of(ctx), "ds": ctx.ds}
    rows = feed.withColumns({name: F.lit(value) for name, value in told.items()}).select(*REFRESHED_FEEDS.column_names)
    if ctx.ds in ctx.days_of(REFRESHED_FEEDS):
        this = (F.col("recipe") == ctx.recipe.name) & (F.col("hour") == hour)
        rows = rows.unionByName(ctx.read(REFRESHED_FEEDS).where(~this))
    ctx.publish(REFRESHED_FEEDS, rows)
    active, everyone, pairs_scored = users.count(), fed.count(), new.count()
    log.info(
        "refresh_feeds: %s of %s users were active until hour %s, %s more pairs scored, %.1f s",
        *(f"{active:,}", f"{everyone:,}", hour, f"{pairs_scored:,}", time.monotonic() - began),
    )
    ctx.spark.catalog.clearCache()


def _check_arrived(ctx: JobContext, hour: int) -> None:
    there = arrived_until(ctx)
    if there != hour:
        what = f"until hour {there}" if there else "not at all"
        raise ContractError(
            f"{ctx.ds} has arrived {what}, and feeds of hour {hour} are asked for",
            where="table todays_impressions",
            next_step=f"reelfeed run ingest_today refresh_feeds --ds {ctx.ds} --hour {hour}",
        )


def _fed(ctx: JobContext, edition: Decision) -> DataFrame:
    """Returns user_id of all who have a feed in `edition`; raises ContractError where the recipe is another since."""
    from pyspark.sql import functions as F

    rows = ctx.lake.read(ctx.spark, FEEDS, [edition["feeds_ds"]], edition["feeds_version"])
    feeds = rows.where(F.col("recipe") == edition["recipe"])
    first = feeds.select("recipe_hash").first()
    if first is not None and first["recipe_hash"] != ctx.recipe.hash:
        night = edition["feeds_ds"]
        raise ContractError(
            f"recipe {ctx.recipe.name!r} has changed since the feeds of {night} were made: their values are others",
            where=f"conf/feeds/{ctx.recipe.name}.toml",
            next_step=f"reelfeed run score_candidates build_feed publish_feeds export_feeds --ds {night}",
        )
    return feeds.where(F.col("slot") == 1).select("user_id").localCheckpoint()


def _refitted(night: JobContext, today: DataFrame, videos: DataFrame) -> dict[str, DataFrame]:
    """Returns the models of LEARN_TODAY that are served, as of the day in progress."""
    from models.serving import served_sources
    from models.source import IMPRESSION_COLUMNS, VIDEO_COLUMNS, all_sources

    known = _sources.known_on(night, night.ds)
    known = replace(
        known,
        impressions=known.impressions.unionByName(today.select(*IMPRESSION_COLUMNS)),
        videos=videos.where(SHOWABLE).select(*VIDEO_COLUMNS),
        ds=night.ds + timedelta(days=1),
    )
    names = [name for name in LEARN_TODAY if name in served_sources(night.recipe)]
    return {name: all_sources()[name].fit(known).localCheckpoint() for name in names}


def _newly_proposed(night: JobContext, lists: dict[str, DataFrame], met: DataFrame) -> DataFrame:
    """Returns what `lists` name for the users of `met`, within the recipe's quotas, that was not scored in the night:
    rows of table candidates."""
    from pyspark.sql import functions as F

    from models.merge import Merging, merge

    quotas = {name: quota for name, quota in night.recipe.sources.items() if name in lists}
    proposals = _sources.ask_all(lists, met, quotas)
    merged = merge(proposals, Merging(sum(quotas.values()))).withColumn("ds", F.lit(night.ds))
    return merged.join(night.read(SCORED_CANDIDATES), on=["user_id", "video_id"], how="left_anti")


def _scored(night: JobContext, new: DataFrame, videos: DataFrame) -> DataFrame:
    """Returns `new`, rows of table candidates, as rows of scored_candidates: by the ranker that scored the night."""
    from models.registry import load_model

    known, late = _knowledge.knowledge(night, [night.ds])
    of_night = night.read(SCORED_CANDIDATES).select("model").first()
    assert of_night is not None  # A partition has rows.
    ranker = load_model(night.settings, night.recipe.name, of_night["model"])
    asked = _knowledge.feed_rows(new.select("user_id", "video_id", "ds"), videos, night.recipe.surface)
    return scored(night, asked.localCheckpoint(), known, bool(late), ranker)


def _check(
    ctx: JobContext, feed: DataFrame, shown: DataFrame, users: DataFrame, videos: DataFrame, blocked: DataFrame
) -> None:
    """Raises ContractError where the feeds break a check that would withhold the night's."""
    # Of few users half may rightly begin alike.
    limits = replace(load(Limits, CONF / "publish.toml"), same=1.0)
    showable = videos.where(SHOWABLE).select("video_id", "author_id")
    pairs = shown.select("user_id", "video_id").distinct()
    checks = checked(feed, pairs, users, showable, blocked, ctx.recipe.length, limits)
    broken = [str(one) for one in checks if not one.holds]
    if broken:
        raise ContractError(
            f"feeds of hour {ctx.hour} are not refreshed, those before are served on: {'; '.join(broken)}",
            where="table refreshed_feeds",
            next_step="reelfeed tables todays_videos; docs/runbook.md",
        )


JOB = Job(
    name="refresh_feeds",
    doc=__doc__,
    owner="feed-ranking",
    reads=tuple(
        dict.fromkeys(
            (
                *(TODAYS_IMPRESSIONS, TODAYS_VIDEOS, FEEDS, PUBLICATIONS, REFRESHED_FEEDS, SOURCE_FITS),
                *(*TABLES, *_knowledge.TABLES, *_sources.TABLES),
            )
        )
    ),
    writes=(REFRESHED_FEEDS,),
    run=run,
    timeout_minutes=30,
)
