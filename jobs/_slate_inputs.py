"""What slates are made from: each user's scored candidates and seen videos, and the recipe's plan for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.job import JobContext
from core.tables.blocked_authors import TABLE as BLOCKED_AUTHORS
from core.tables.candidates import TABLE as CANDIDATES
from core.tables.embeddings import TABLE as EMBEDDINGS
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.scored_candidates import TABLE as SCORED_CANDIDATES
from core.tables.source_models import TABLE as SOURCE_MODELS
from core.tables.users import TABLE as USERS
from core.tables.videos import SHOWABLE
from core.tables.videos import TABLE as VIDEOS
from models.history import DAYS
from models.serving import FALLBACK
from models.slate import COLUMNS

if TYPE_CHECKING:
    import numpy as np
    from pyspark.sql import DataFrame

    from models.slate import Plan

TABLES = (CANDIDATES, SCORED_CANDIDATES, IMPRESSIONS, USERS, BLOCKED_AUTHORS, VIDEOS, SOURCE_MODELS, EMBEDDINGS)
"""What a job that makes slates reads."""


@dataclass(frozen=True)
class SlateInputs:
    """`plan` and `asking`, one row per user, as models.slate takes them, and what they were made from.

    `met` has user_id and the videos they have seen, cached; `blocked` whom they have blocked, as in table
    blocked_authors; `scored` the candidates as in table scored_candidates; `sources` who named a candidate, as in table
    candidates; `popular` the popular videos with score and part; `videos` every video with what rules read and
    is_showable.
    """

    plan: Plan
    asking: DataFrame
    met: DataFrame
    blocked: DataFrame
    scored: DataFrame
    sources: DataFrame
    popular: DataFrame
    videos: DataFrame


def slate_inputs(ctx: JobContext, users: DataFrame) -> SlateInputs:
    """Returns what the slates of `users`, rows of table users, are made from in the night `ctx.ds`."""
    from pyspark.sql import functions as F

    from models.history import histories

    met = histories(ctx.read_window(IMPRESSIONS, DAYS - 1), users).cache()
    sources = ctx.read(CANDIDATES).select("user_id", "video_id", "sources")
    lists = ctx.read(SOURCE_MODELS).where(F.col("source") == FALLBACK)
    return inputs_of(ctx, met, ctx.read(SCORED_CANDIDATES), sources, lists, ctx.read(VIDEOS))


def inputs_of(
    ctx: JobContext, met: DataFrame, scored: DataFrame, sources: DataFrame, lists: DataFrame, pool: DataFrame
) -> SlateInputs:
    """Returns the inputs of the slates of the users of `met`, whose candidates are `scored`; see SlateInputs.

    `lists` is the fallback source's model, `pool` table videos. Draws are those of the night `ctx.ds`, or anew for the
    hour `ctx.hour` of the day after.
    """
    from pyspark.sql import functions as F

    from models.exploration import Exploration
    from models.rule import chosen
    from models.slate import Plan
    from models.video_vectors import video_vectors

    recipe = ctx.recipe
    steps = chosen(recipe.rules, f"conf/feeds/{recipe.name}.toml [[rules]]")
    videos = pool.select(
        "video_id",
        "author_id",
        F.coalesce("tag_id", F.lit(-1)).alias("tag_id"),
        F.expr(SHOWABLE).alias("is_showable"),
    )
    popular = lists.where("part = 'everyone'").select(F.col("target_id").alias("video_id"), "score", "part")
    exploration = Exploration(recipe.exploration_slots, recipe.hash, ctx.ds, ctx.hour)
    compared = any("vectors" in rule.columns for rule, _ in steps)
    vectors = video_vectors(ctx.read(EMBEDDINGS), videos) if compared else None
    plan = Plan(steps, recipe.length, exploration, _popular(popular, videos), vectors)
    named = scored.join(sources, on=["user_id", "video_id"], how="left")
    blocked = ctx.read(BLOCKED_AUTHORS)
    return SlateInputs(plan, _asking(met, blocked, named, videos), met, blocked, scored, sources, popular, videos)


def _popular(model: DataFrame, videos: DataFrame) -> dict[str, np.ndarray]:
    """Returns the fallback source's videos, best first, as the columns that slates need."""
    from pyspark.sql import functions as F

    listed = model.join(videos, on="video_id", how="inner").orderBy(F.desc("score"), "video_id")
    table = listed.select(*(F.lit(0).alias(name) if name == "fresh_rank" else name for name in COLUMNS)).toArrow()
    return {name: table[name].to_numpy() for name in table.column_names}


def _asking(users: DataFrame, blocked: DataFrame, scored: DataFrame, videos: DataFrame) -> DataFrame:
    """Returns one row per user: user_id, seen, blocked, candidates, as models.slate takes them."""
    from pyspark.sql import functions as F

    from models.merge import of_source

    fresh = F.coalesce(of_source("fresh", "rank"), F.lit(0))
    ranked = scored.select("user_id", "video_id", "value", fresh.alias("fresh_rank"))
    about = ranked.join(F.broadcast(videos), on="video_id", how="inner")
    one = F.struct("value", *COLUMNS)
    lists = about.groupBy("user_id").agg(F.collect_list(one).alias("candidates"))
    theirs = blocked.groupBy("user_id").agg(F.sort_array(F.collect_list("author_id")).alias("blocked"))
    joined = users.select("user_id", "seen")
    for more in (theirs, lists):
        joined = joined.join(more, on="user_id", how="left")
        name = more.columns[-1]
        joined = joined.withColumn(name, F.coalesce(name, F.array().cast(more.schema[name].dataType)))
    return joined
