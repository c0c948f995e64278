"""Joins impressions to the features that their feeds could have been scored with, split strictly by time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from core.errors import MissingDataError, UsageError
from core.job import Job, JobContext, log
from core.settings import SplitSettings
from core.tables.examinations import TABLE as EXAMINATIONS
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.training_examples import TABLE as TRAINING_EXAMPLES
from core.tables.videos import TABLE as VIDEOS
from jobs import _knowledge
from jobs._drawn import drawn
from models.heads import HEADS, Head
from models.labels import binary_labels, label_sql

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from models.examination import Examination

EXAMINED_SLOTS = 50_000
"""Random slots, about, that examination is learnt from at most."""
LONGEST_HISTORY_DAYS = 28
USER_PARTS = 1 << 20
RARE = 0.02
"""Share of impressions below which what users do is rare."""


@dataclass(frozen=True)
class Split:
    """First days of the three parts, and the last day of all; days are those of `shown_on`."""

    train: date
    validate: date
    test: date
    last: date


def split_days(days: list[date], settings: SplitSettings) -> Split:
    """Returns the split of `days` (in order); raises MissingDataError where training would have no day left."""
    last = days[-1]
    test = last - timedelta(days=settings.test_days - 1)
    validate = test - timedelta(days=settings.validate_days)
    train = days[0] + timedelta(days=settings.warm_up_days)
    if train >= validate:
        needed = settings.test_days + settings.validate_days + settings.warm_up_days + 1
        raise MissingDataError(
            f"{(last - days[0]).days + 1} days of impressions leave none to train on; at least {needed} are needed",
            where=f"table impressions, {days[0]} to {last}",
            next_step="load more history, or shorten [split] in the profile's conf file",
        )
    return Split(train, validate, test, last)


def check_embargo(embargo_hours: int, heads: tuple[Head, ...] = HEADS) -> None:
    """Raises UsageError, naming every label at fault, unless rows `embargo_hours` old have the labels of `heads`."""
    labels = dict.fromkeys(head.predicts for head in heads)
    late = [f"{label.name} ({label.maturity_hours} h)" for label in labels if label.maturity_hours > embargo_hours]
    if late:
        longest = max(label.maturity_hours for label in labels)
        raise UsageError(
            f"labels that are complete only after the embargo of {embargo_hours} h: {', '.join(late)}",
            where="setting embargo_hours of [split] in the profile's conf file; maturity_hours in models/labels.py",
            next_step=f"set embargo_hours to {longest} or more",
        )


def run(ctx: JobContext) -> None:
    """Publishes the training examples as of `ctx.ds`, and how much each place is looked at, where random slots tell.

    Raises as `check_embargo` and `split_days` do.
    """
    from core.lake import spark_schema
    from features.point_in_time import UPLOAD_COLUMNS, vectors
    from features.session import with_session
    from models.watch_quantile import percentiles, watch_counts, with_percentile

    check_embargo(ctx.settings.split.embargo_hours)
    days = [day for day in ctx.days_of(IMPRESSIONS) if day > ctx.ds - timedelta(days=LONGEST_HISTORY_DAYS)]
    split = split_days(days, ctx.settings.split)
    impressions = ctx.read(IMPRESSIONS, days)
    clock = (ctx.settings.publish_hour, ctx.settings.split.embargo_hours)
    # Counted before rows are drawn: every row of the train part says how long videos are watched.
    watched = watch_counts(dated(impressions, split, *clock))
    found, slots = examination_of(dated(impressions, split, *clock), ctx.settings.seed)
    rows = dated(with_session(impressions), split, *clock).withColumn("examined", looked(found))
    rows = sampled(rows, ctx.settings.split.train_rows_at_most, int(watched.sum()))
    about = ctx.read(VIDEOS, [ctx.ds]).select("video_id", *UPLOAD_COLUMNS)
    rows = rows.join(about, on="video_id", how="left").cache()
    # A feed shown before the publish hour saw the snapshot of two days before.
    first = split.train - timedelta(days=2)
    snapshot_days = [first + timedelta(days=i) for i in range((split.test - first).days)]
    known, _ = _knowledge.knowledge(ctx, [day for day in snapshot_days if day >= days[0]])
    joined = with_percentile(vectors(rows, known), percentiles(watched))
    ctx.publish(TRAINING_EXAMPLES, examples(joined, ctx.ds))
    rows.unpersist()
    told = zip(found.first, found.estimates, strict=True) if found else ()
    curve = [(place, one.value, one.low, one.high, slots, ctx.ds) for place, one in told]
    ctx.publish(EXAMINATIONS, ctx.spark.createDataFrame(curve, spark_schema(EXAMINATIONS)))


def examination_of(rows: DataFrame, seed: int) -> tuple[Examination | None, int]:
    """Returns examination by place in the random slots of part train of `rows`, None where they are too few to tell,
    and the slots: all, or those of some users."""
    from pyspark.sql import functions as F

    from models.examination import examination

    slots = rows.where("part = 'train' and is_random and position is not null")
    slots = slots.select("user_id", "position", "is_long_view").cache()
    share = min(1.0, EXAMINED_SLOTS / max(1, slots.count()))
    # Users whole, since places are compared within them.
    of_user = F.pmod(F.xxhash64(F.lit("examination"), "user_id"), F.lit(USER_PARTS)) < share * USER_PARTS
    found = slots.where(of_user).toArrow().sort_by("user_id")
    slots.unpersist()
    user, position, outcome = (found[name].to_numpy() for name in ("user_id", "position", "is_long_view"))
    try:
        return examination(user, position, outcome, seed), found.num_rows
    except UsageError as error:
        log.info("build_training_set: places count as looked at alike, since %s", error.what)
        return None, found.num_rows


def looked(found: Examination | None) -> Column:
    """Returns how much the `position` of an impression is looked at, null where that is not known."""
    from pyspark.sql import functions as F

    from models.examination import at_places

    if found is None:
        return F.lit(None).cast("float")
    values = at_places(found, found.first[-1])
    # The last span has no end.
    of_place = F.element_at(F.array(*map(F.lit, values)), F.least(F.col("position"), F.lit(len(values))))
    return F.when(F.col("position").isNotNull(), of_place).cast("float")


def dated(impressions: DataFrame, split: Split, publish_hour: int, embargo_hours: int) -> DataFrame:
    """Returns `impressions` of the three parts with `part` and `snapshot_ds`.

    Lists that are ranked, the test part's, are frozen: every test row has the snapshot of the eve of the test days.
    Earlier rows have the newest snapshot their feed could have used. Rows shown less than `embargo_hours` before
    the next part begins are left out: their labels may not have been complete when it began.
    """
    from pyspark.sql import functions as F

    from features.point_in_time import snapshot_day

    shown = F.timestamp_seconds(F.unix_timestamp(F.col("shown_on").cast("timestamp")) + F.col("shown_hour") * 3600)

    def before(day: date) -> Column:
        return shown < F.lit(str(day)).cast("timestamp") - F.expr(f"interval {embargo_hours} hours")

    on = F.col("shown_on")
    part = (
        F.when((on >= F.lit(split.test)) & (on <= F.lit(split.last)), "test")
        .when((on >= F.lit(split.validate)) & before(split.test), "validate")
        .when((on >= F.lit(split.train)) & before(split.validate), "train")
    )
    frozen = F.lit(split.test - timedelta(days=1))
    return (
        impressions.withColumn("part", part)
        .where("part is not null")
        .withColumn("snapshot_ds", F.when(F.col("part") == "test", frozen).otherwise(snapshot_day(publish_hour)))
    )


def sampled(rows: DataFrame, train_rows_at_most: int, train_rows: int) -> DataFrame:
    """Returns `rows` with `weight`, of its `train_rows` rows of part train about `train_rows_at_most`; 0 keeps all.

    Rows in which something RARE happened have half of the places, or as many as they need: a head learns more from
    one of them than from many without. The others are drawn for what is left. Which rows stay is a hash of their key. A
    row's weight is the inverse of the share of its kind that was kept, so that weighted rates stay those of all rows.
    """
    from pyspark.sql import functions as F

    is_train, one = F.col("part") == "train", F.lit(1.0).cast("float")
    if not train_rows_at_most or train_rows <= train_rows_at_most:
        return rows.withColumn("weight", one)
    rare, of_rare = _rare(rows.where(is_train), train_rows)
    share_of_rare = min(1.0, train_rows_at_most / 2 / max(1, of_rare))
    share_of_rest = (train_rows_at_most - share_of_rare * of_rare) / max(1, train_rows - of_rare)
    share = F.when(rare, F.lit(share_of_rare)).otherwise(F.lit(min(1.0, share_of_rest)))
    weight = F.when(is_train, 1.0 / share).otherwise(one).cast("float")
    return rows.where(~is_train | (drawn("sample") < share)).withColumn("weight", weight)


def _rare(rows: DataFrame, count: int) -> tuple[Column, int]:
    """Returns whether a row has a deed of LABELS that less than RARE of all `count` `rows` have, and how many do."""
    from pyspark.sql import functions as F

    deeds = {label.name: F.coalesce(F.expr(label.sql).cast("boolean"), F.lit(False)) for label in binary_labels()}
    # One pass: of each combination of deeds, how often it came.
    seen = rows.groupBy(*[deed.alias(name) for name, deed in deeds.items()]).count().collect()
    rare = [name for name in deeds if sum(row["count"] for row in seen if row[name]) < RARE * count]
    had = sum(row["count"] for row in seen if any(row[name] for name in rare))
    return reduce(or_, [deeds[name] for name in rare], F.lit(False)), had


def examples(joined: DataFrame, ds: date) -> DataFrame:
    """Returns rows with features and labels in the shape of table training_examples, as of `ds`.

    `joined` has the columns of table impressions and WATCH_PERCENTILE, part, weight, examined, features, popularity.
    """
    from pyspark.sql import functions as F

    return joined.withColumns({"labels": F.expr(label_sql()), "ds": F.lit(ds)}).select(*TRAINING_EXAMPLES.column_names)


JOB = Job(
    name="build_training_set",
    doc=__doc__,
    owner="feed-ranking",
    reads=(IMPRESSIONS, *_knowledge.TABLES),
    writes=(TRAINING_EXAMPLES, EXAMINATIONS),
    run=run,
)
