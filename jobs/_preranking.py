"""Teaches the pre-ranker what tonight's ranker values, and cuts the candidates with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.job import JobContext

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame

    from features.point_in_time import Knowledge
    from models.prerank import Cost
    from models.ranker import Ranker


def preranked(ctx: JobContext, rows: DataFrame, known: Knowledge, ranker: Ranker) -> tuple[DataFrame, Cost]:
    """Returns the candidates that go on to the ranker, cached, and what cutting the others cost.

    `rows` is every candidate: those of models.prerank.described, with what features.point_in_time.vectors needs.
    """
    import numpy as np
    from pyspark.sql import functions as F

    from models.prerank import cost, cut, described, taught

    asked = rows.withColumn("is_kept", _kept(ctx))
    lesson = _lesson(ctx, asked, known, ranker)
    user, value = lesson["user_id"].to_numpy(), lesson["value"].to_numpy()
    numbers = np.asarray(lesson["few"].combine_chunks().flatten(), dtype=np.float32).reshape(len(user), -1)
    teaches = np.isin(user, np.unique(user)[::2])
    model = taught(numbers[teaches], value[teaches], ctx.settings.seed, ctx.settings.threads) if len(user) else ""
    # Made anew, since to keep these numbers of all candidates would take more memory than all else.
    going = cut(described(asked, known, sorted(ctx.recipe.sources)), model, ctx.recipe.scored).cache()
    held = [int(one) for one in np.unique(user[~teaches])]
    went = _went(lesson, going.where(F.col("user_id").isin(held)).toArrow())
    chosen = rows.drop("rank", "sources").join(going, on=["user_id", "video_id"], how="left_semi").cache()
    return chosen, cost(user[~teaches], value[~teaches], went[~teaches], ctx.recipe.length)


def _kept(ctx: JobContext) -> Column:
    """Returns whether a candidate is one of the first of a source that no cut may drop."""
    from functools import reduce
    from operator import or_

    from pyspark.sql import functions as F

    from models.merge import of_source

    counts = ctx.recipe.kept.items()
    first = [F.coalesce(of_source(name, "rank") <= count, F.lit(False)) for name, count in counts]
    return reduce(or_, first, F.lit(False))


def _lesson(ctx: JobContext, asked: DataFrame, known: Knowledge, ranker: Ranker) -> pa.Table:
    """Returns user_id, video_id, few and the ranker's value of all candidates of the users drawn to teach."""
    from pyspark.sql import functions as F

    from features.point_in_time import vectors
    from models.prerank import TEACHING_USERS, described
    from models.scoring import predicted
    from models.varied import UserWeights

    users = asked.select("user_id").distinct().orderBy(F.xxhash64("user_id", F.lit(ctx.settings.seed)), "user_id")
    drawn = users.limit(TEACHING_USERS).localCheckpoint()
    theirs = asked.join(F.broadcast(drawn), on="user_id", how="left_semi").cache()
    few = described(theirs, known, sorted(ctx.recipe.sources))
    rows = theirs.drop("rank", "sources", "is_kept")
    scored = predicted(vectors(rows, known), ranker, UserWeights.of_night(ctx.recipe, ctx.ds))
    ranked = scored.select("user_id", "video_id", "value")
    told = few.join(ranked, on=["user_id", "video_id"], how="inner").orderBy("user_id", "video_id").toArrow()
    theirs.unpersist()
    return told


def _went(lesson: pa.Table, going: pa.Table) -> np.ndarray:
    """Returns which rows of `lesson` are among those `going` on."""
    import numpy as np

    width = int(max(lesson["video_id"].to_numpy().max(initial=0), going["video_id"].to_numpy().max(initial=0))) + 1
    codes = [table["user_id"].to_numpy() * width + table["video_id"].to_numpy() for table in (lesson, going)]
    went: np.ndarray = np.isin(*codes)
    return went
