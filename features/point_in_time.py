"""Rows to feature vectors, the one way for training and for scoring: each row sees one snapshot and nothing later."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from core.tables.machine_factors import VALUES, beside
from features.catalog import all_groups, fact_groups, served_groups
from features.duration_buckets import DURATION_BUCKET, DURATION_BUCKET_SQL
from features.group import Fact, FeatureGroup, Rate, Value, column_name
from features.session import NEUTRAL
from features.window import Window

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

LEVELS = (("video_id", "author_id", "tag_id", DURATION_BUCKET.name), ("user_id",), ("surface",))
"""What is known of these alone is put together once for each, and then beside every row that has them."""

MACHINE_PARTS = {"video_id": "video", "user_id": "user", "surface": "surface"}
"""By the first column of a level: whose row of the factorisation machine it has."""

UPLOAD_COLUMNS = ("uploaded_on", "upload_type", "music_id", "tags")
"""Of a row, what table videos alone tells; it never changes after the upload."""

ROW_COLUMNS = (
    *("user_id", "video_id", "author_id", "tag_id", "duration_ms", "surface", "shown_on", "snapshot_ds"),
    *UPLOAD_COLUMNS,
)
"""What a row must have. `shown_on` is the day of showing, for a feed the day after its snapshot."""

MOST_NAMED = 5_000_000
"""Rows whose entities every executor can be told: those of large snapshots that no row names need not move."""

POPULARITY = ("video_reception", "long_view_rate_28d")


@dataclass(frozen=True)
class Knowledge:
    """What was known at the end of each snapshot day that rows name, by `ds`.

    `snapshots` by group: a group that is absent counts as never having seen anyone. `users`, `videos` and `follows`
    are the tables of these names. `large` are groups whose snapshots hold far more entities than rows will name.
    `factors` is table machine_factors; without it nothing is known of its log odds.
    """

    snapshots: Mapping[str, DataFrame]
    users: DataFrame
    videos: DataFrame
    follows: DataFrame
    large: frozenset[str] = frozenset()
    factors: DataFrame | None = None


def snapshot_day(publish_hour: int) -> Column:
    """Returns the day of the newest snapshot that an impression's feed could have been scored with.

    The feed made from the snapshot of day D is served from `publish_hour` (local) on day D + 1 until the next one,
    so an impression shown before that hour saw the feed of the night before. Uses shown_on and shown_hour.
    """
    from pyspark.sql import functions as F

    return F.date_sub("shown_on", F.when(F.col("shown_hour") < publish_hour, 2).otherwise(1))


def vectors(rows: DataFrame, known: Knowledge) -> DataFrame:
    """Returns `rows` with `features`, array<float> in the order of features.catalog, and `popularity`.

    `rows` has ROW_COLUMNS and may have those of features/session.py; without them they are at their neutral value.
    It is read several times over: cache it where it is dear. An entity that its snapshot does not hold has its
    parent's rates and counts of 0; unknown facts are NaN. `popularity` is the video's shrunk long-view rate of 28
    days: the baseline.
    """
    from pyspark.sql import functions as F

    joined = rows.withColumn(DURATION_BUCKET.name, F.expr(DURATION_BUCKET_SQL))
    joined = joined.withColumns({name: F.lit(value) for name, value in NEUTRAL.items() if name not in rows.columns})
    rows_alone, groups = joined, list(all_groups().values())
    if known.large and rows.count() <= MOST_NAMED:
        fewer = {name: narrowed(known.snapshots[name], all_groups()[name], rows_alone) for name in known.large}
        known = replace(known, snapshots={**known.snapshots, **fewer})
    levels = {
        columns: [group for group in groups if group.entity and set(group.entity) <= set(columns)] for columns in LEVELS
    }
    pairs = [group for group in groups if group.entity and all(group not in level for level in levels.values())]
    # Pairs first: theirs are the joins that move rows, which the arrays of the others would make wide.
    for group in pairs:
        joined = _with_values(joined, known.snapshots.get(group.name), group)
    joined = _with_edge(joined, known.follows)
    for columns, of_level in levels.items():
        entities = rows_alone.select(*columns, "snapshot_ds").distinct()
        described = _described(_filled_level(entities, of_level, known), known)
        joined = _beside(joined, _with_factors(described, known.factors, columns[0]), columns)
    for group in pairs:
        joined = _filled(joined, group)
    made = [F.col(_array(group)) for group in served_groups().values()]
    facts = [_number(fact) for group in fact_groups().values() for fact in group.features]
    group_name, column = POPULARITY
    return joined.select(
        *rows.columns,
        F.concat(*made, F.array(*facts)).alias("features"),
        F.expr(_place(group_name, column)).cast("double").alias("popularity"),
    )


def narrowed(snapshot: DataFrame, group: FeatureGroup, rows: DataFrame) -> DataFrame:
    """Returns `snapshot` without the entities and days that no one of `rows`, at most MOST_NAMED, names."""
    from pyspark.sql import functions as F

    named = rows.select(*group.entity, F.col("snapshot_ds").alias("ds"))
    return snapshot.join(F.broadcast(named), on=[*group.entity, "ds"], how="left_semi")


def _filled_level(entities: DataFrame, groups: Sequence[FeatureGroup], known: Knowledge) -> DataFrame:
    """Returns `entities` with the values of `groups`, each entity having all of them."""
    roots = [group for group in all_groups().values() if not group.entity]
    for group in (*roots, *groups):
        entities = _filled(_with_values(entities, known.snapshots.get(group.name), group), group)
    return entities.drop(*[_array(root) for root in roots])


def _with_values(rows: DataFrame, snapshot: DataFrame | None, group: FeatureGroup) -> DataFrame:
    """Returns `rows` with the group's features as one array, null where the entity is unseen."""
    from pyspark.sql import functions as F

    if snapshot is None:
        return rows.withColumn(_array(group), F.lit(None).cast("array<float>"))
    values = F.array(*[F.col(name) for _, _, name in group.columns]).alias(_array(group))
    keyed = snapshot.select(*group.entity, F.col("ds").alias("snapshot_ds"), values)
    return rows.join(keyed, on=[*group.entity, "snapshot_ds"], how="left")


def _filled(rows: DataFrame, group: FeatureGroup) -> DataFrame:
    """Returns `rows` with what stands for entities of `group` that were never seen: no counts, the parent's rates."""
    from pyspark.sql import functions as F

    def unseen(feature: Value | Rate, window: Window) -> Column:
        if not isinstance(feature, Rate):
            return F.lit(0.0)
        return F.expr(_place(group.parent, column_name(feature.name, window))) if group.parent else F.lit(feature.base)

    nothing = F.array(*[unseen(feature, window).cast("float") for feature, window, _ in group.columns])
    return rows.withColumn(_array(group), F.coalesce(_array(group), nothing))


def _beside(rows: DataFrame, entities: DataFrame, columns: Sequence[str]) -> DataFrame:
    """Returns `rows` with what `entities` (one row per `columns` and snapshot_ds, nulls being equal) says of theirs."""
    from pyspark.sql import functions as F

    keys = (*columns, "snapshot_ds")
    renamed = entities.select(
        *[F.col(name).alias(f"entity_{name}") for name in keys],
        *[name for name in entities.columns if name not in keys],
    )
    same = [F.col(name).eqNullSafe(F.col(f"entity_{name}")) for name in keys]
    return rows.join(renamed, on=same, how="left").drop(*[f"entity_{name}" for name in keys])


def _with_edge(rows: DataFrame, follows: DataFrame) -> DataFrame:
    """Returns `rows` with `follows_author`, 1 where the user did at the end of the snapshot's day."""
    from pyspark.sql import functions as F

    edges = follows.select("user_id", "author_id", F.col("ds").alias("snapshot_ds"), F.lit(1).alias("follows_author"))
    return rows.join(edges, on=["user_id", "author_id", "snapshot_ds"], how="left")


def _described(entities: DataFrame, known: Knowledge) -> DataFrame:
    """Returns `entities` with what the facts say of their users or authors."""
    from pyspark.sql import functions as F

    day = F.col("ds").alias("snapshot_ds")
    if "user_id" in entities.columns:
        profile = known.users.select(
            "user_id", "account_age_days", "activity", "following_count", "follower_count", day
        )
        return entities.join(profile, on=["user_id", "snapshot_ds"], how="left")
    if "author_id" not in entities.columns:
        return entities
    followed = known.follows.groupBy("author_id", day).agg(F.count(F.lit(1)).alias("author_followers"))
    posts = known.videos.groupBy("author_id", day).agg(
        F.max("uploaded_on").alias("author_posted_on"), F.count(F.lit(1)).alias("author_videos")
    )
    for about in (followed, posts):
        entities = entities.join(about, on=["author_id", "snapshot_ds"], how="left")
    return entities


def _with_factors(entities: DataFrame, factors: DataFrame | None, column: str) -> DataFrame:
    """Returns `entities` with what the factorisation machine learned of theirs in `column`: 0 where it knows of none.

    Of a surface it does not know, as where there is no machine at all, nothing can be said: null.
    """
    from pyspark.sql import functions as F

    part = MACHINE_PARTS[column]
    if factors is None:
        return entities.withColumns({beside(part, name): F.lit(None).cast("double") for name in VALUES})
    known = factors.where(F.col("part") == part).select(
        F.col("entity_id").alias(column),
        F.col("ds").alias("snapshot_ds"),
        *[F.expr(sql).cast("double").alias(beside(part, name)) for name, sql in VALUES.items()],
    )
    joined = entities.join(known, on=[column, "snapshot_ds"], how="left")
    return joined if part == "surface" else joined.fillna(0.0, [beside(part, name) for name in VALUES])


def _number(fact: Fact) -> Column:
    """Returns the fact as a float, NaN where it is unknown; `{group__feature}` is the value of another feature."""
    from pyspark.sql import functions as F

    sql = re.sub(r"\{(\w+?)__(\w+)\}", lambda named: _place(named[1], named[2]), fact.sql)
    return F.coalesce(F.expr(f"cast({sql} as float)"), F.lit(float("nan")).cast("float"))


def _place(group: str, column: str) -> str:
    """Returns the SQL of one value of a joined group."""
    declared = all_groups()[group]
    place = [name for _, _, name in declared.columns].index(column)
    return f"{_array(declared)}[{place}]"


def _array(group: FeatureGroup) -> str:
    return f"values_{group.name}"
