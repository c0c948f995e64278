"""Why a video was no candidate: it may not be shown, was seen, or stood too low in the lists of the sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.job import JobContext
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.source_models import TABLE as SOURCE_MODELS
from core.tables.users import TABLE as USERS
from core.tables.videos import TABLE as VIDEOS
from jobs import _sources
from models.history import DAYS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def unproposed(ctx: JobContext, user_id: int, video_id: int) -> list[str]:
    """Returns why the video was no candidate of the user in the night `ctx.ds`, as lines."""
    from pyspark.sql import functions as F

    from models.history import histories

    videos = ctx.read(VIDEOS)
    video = next(iter(videos.where(F.col("video_id") == video_id).collect()), None)
    if video is None:
        return ["", "Why", f"  table videos had no video {video_id} that night"]
    if not video["is_visible"] or video["is_advert"]:
        return ["", "Why", f"  it may not be shown: {'an advertisement' if video['is_advert'] else 'not visible'}"]
    own = F.col("user_id") == user_id
    asking = histories(ctx.read_window(IMPRESSIONS, DAYS - 1).where(own), ctx.read(USERS).where(own)).cache()
    user = next(iter(asking.collect()), None)
    if user is None:
        return ["", "Why", f"  table users had no user {user_id} that night"]
    if video_id in user["seen"]:
        return ["", "Why", f"  the user was shown it in the last {DAYS} days"]
    return ["", "Why", *standing(ctx, asking, video_id, videos.count())]


def standing(ctx: JobContext, asking: DataFrame, video_id: int, most: int) -> list[str]:
    """Returns for every source of the recipe where the video stood in its list of at most `most` for the one user of
    `asking` (models/source.py says which columns it has), and how many it was asked for, as lines.
    """
    from pyspark.sql import functions as F

    models = ctx.read(SOURCE_MODELS).cache()
    fitted = {row["source"] for row in models.select("source").distinct().collect()}
    asked = ctx.recipe.sources
    by_source = {name: models.where(F.col("source") == name) for name in fitted & asked.keys()}
    whole = _sources.ask_all(by_source, asking, dict.fromkeys(asked, most))
    lines = []
    for name, quota in sorted(asked.items()):
        listed = [video for row in (whole[name].collect() if name in whole else ()) for video in row["videos"]]
        if name not in whole:
            lines.append(f"  {name} had no model that night")
        elif video_id not in listed:
            lines.append(f"  {name} does not name it")
        else:
            rank = listed.index(video_id) + 1
            fell = f"beyond the {quota} it is asked for" if rank > quota else "but cut where the lists were merged"
            lines.append(f"  {name} has it as its number {rank}, {fell}")
    models.unpersist()
    return lines
