"""`reelfeed weight-effects`: what users did who were given more weight of a head, of the nights of a varied recipe."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

from core.errors import MissingDataError, UsageError
from core.lake import Lake
from core.recipe import Recipe
from core.settings import CONF, Settings
from core.tables.feeds import TABLE as FEEDS
from core.tables.impressions import REACTIONS
from core.tables.impressions import TABLE as IMPRESSIONS
from jobs.ingest_events import LATEST_DAYS
from models.weight_effects import effects

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    from numpy.typing import NDArray


def told(settings: Settings, recipe: Recipe, first: date, last: date) -> str:
    """Returns the effects of the weights drawn in the feeds of the nights from `first` to `last`, as text.

    Raises UsageError where `recipe` varies no weight, MissingDataError where these nights have no feeds of the recipe
    as it is now, or nobody was shown anything on the days after.
    """
    heads = sorted(recipe.varied)
    if not heads:
        raise UsageError(
            f"recipe {recipe.name!r} varies no weight",
            where=str(CONF / "feeds" / f"{recipe.name}.toml"),
            next_step="name heads and shares in [varied] there, and let nights pass: docs/exploration.md",
        )
    rows = _nights(settings, recipe, first, last, heads)
    user, showings = rows["user_id"].to_numpy(), rows["showings"].to_numpy().astype(float)
    drawn, outcomes = (_matrix(rows, names) for names in ([f"drawn_{head}" for head in heads], REACTIONS))
    found = effects(user, drawn, showings, outcomes, heads, REACTIONS, settings.seed)
    columns = [f"{head} {recipe.value[head]:g} → {recipe.value[head] * (1 + recipe.varied[head]):g}" for head in heads]
    lines = [
        f"{rows.num_rows:,} nights of {len(set(user.tolist())):,} users, {first} to {last}, "
        f"{int(showings.sum()):,} showings on the days after",
        "outcomes per showing, and how much more where a weight is raised",
        "",
        "  ".join([f"{'':20}", f"{'as it is':>8}", *[f"{column:>30}" for column in columns]]),
    ]
    for name in REACTIONS:
        cells = [f"{found[name, head].told(sign='+'):>30}" for head in heads]
        lines.append("  ".join([f"{name:20}", f"{found[name, ''].value:8.4f}", *cells]))
    return "\n".join(lines)


def _matrix(rows: pyarrow.Table, names: Sequence[str]) -> NDArray[np.float64]:
    import numpy as np

    return np.column_stack([rows[name].to_numpy().astype(float) for name in names])


def _nights(settings: Settings, recipe: Recipe, first: date, last: date, heads: list[str]) -> pyarrow.Table:
    """Returns of each night of a user with showings after it: drawn_HEAD in [-1, 1], showings, sums of REACTIONS."""
    from pyspark.sql import functions as F

    from core.spark import session

    lake, spark = Lake(settings.lake), session(settings, "weight effects")
    nights = [day for day in lake.days(FEEDS) if first <= day <= last]
    until = last + timedelta(days=1 + LATEST_DAYS)
    arrived = [day for day in lake.days(IMPRESSIONS) if first < day <= until]
    of_recipe = (F.col("recipe") == recipe.name) & (F.col("recipe_hash") == recipe.hash)
    feeds = lake.read(spark, FEEDS, nights).where(of_recipe & (F.size("terms") > 0))
    # All rows of a user's night were scored with the same weights.
    one = feeds.select("user_id", "ds", "terms").dropDuplicates(["user_id", "ds"])
    weights = F.map_from_entries(F.transform("terms", lambda term: F.struct(term["head"], term["weight"])))
    drawn = [((weights[head] / recipe.value[head] - 1) / recipe.varied[head]).alias(f"drawn_{head}") for head in heads]
    shown = lake.read(spark, IMPRESSIONS, arrived).where(F.col("surface") == recipe.surface)
    sums = [F.sum(F.col(name).cast("int")).alias(name) for name in REACTIONS]
    day_after = F.date_sub("shown_on", 1).alias("ds")
    came = shown.groupBy("user_id", day_after).agg(F.count(F.lit(1)).alias("showings"), *sums)
    joined = one.join(came, on=["user_id", "ds"], how="inner")
    rows = joined.orderBy("user_id", "ds").select("user_id", "showings", *REACTIONS, *drawn).toArrow()
    if not rows.num_rows:
        raise MissingDataError(
            f"no showings on the day after a night of recipe {recipe.name!r}, as it is now, from {first} to {last}",
            where="tables feeds and impressions",
            choices=[f"nights with feeds: {', '.join(map(str, lake.days(FEEDS)[-5:]))}"],
            next_step="give nights whose day after has been ingested",
        )
    return rows
