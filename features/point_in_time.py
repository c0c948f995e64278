"""Rows to feature vectors, the one way for training and for scoring: each row sees one snapshot and nothing later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from features.catalog import all_groups, features, popularity_sql
from features.group import FeatureGroup

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

SMALL_ENTITIES = ((), ("surface",), ("tag_id",))
"""Entities with few members, whose snapshots are sent to every executor instead of shuffled."""

ROW_COLUMNS = ("user_id", "video_id", "author_id", "tag_id", "duration_ms", "uploaded_on", "surface", "snapshot_ds")


def snapshot_day(publish_hour: int) -> Column:
    """Returns the day of the newest snapshot that an impression's feed could have been scored with.

    The feed made from the snapshot of day D is served from `publish_hour` (local) on day D + 1 until the next one,
    so an impression shown before that hour saw the feed of the night before. Uses shown_on and shown_hour.
    """
    from pyspark.sql import functions as F

    return F.date_sub("shown_on", F.when(F.col("shown_hour") < publish_hour, 2).otherwise(1))


def vectors(rows: DataFrame, snapshots: Mapping[str, DataFrame], users: DataFrame) -> DataFrame:
    """Returns `rows` with `features`, array<float> in the order of features.catalog, and `popularity`.

    `rows` has at least ROW_COLUMNS; `snapshots` maps every group to its snapshots of all days that rows name, and
    `users` holds table users of those days. A row whose entity or day has no snapshot gets the priors;
    unknown facts are NaN.
    """
    from pyspark.sql import functions as F

    joined = rows
    for group in all_groups().values():
        joined = _join(joined, snapshots[group.name], group)
    facts = users.select(
        "user_id", "account_age_days", "following_count", "follower_count", F.col("ds").alias("snapshot_ds")
    )
    joined = joined.join(facts, on=["user_id", "snapshot_ds"], how="left")
    values = [F.coalesce(F.expr(f"cast({feature.sql} as float)"), F.lit(float("nan"))) for feature in features()]
    return joined.select(
        *rows.columns,
        F.array(*values).cast("array<float>").alias("features"),
        F.expr(popularity_sql()).alias("popularity"),
    )


def _join(rows: DataFrame, snapshot: DataFrame, group: FeatureGroup) -> DataFrame:
    from pyspark.sql import functions as F

    sums = [name for name in snapshot.columns if name not in (*group.entity, "ds")]
    renamed = snapshot.select(
        *group.entity, F.col("ds").alias("snapshot_ds"), *[F.col(name).alias(f"{group.name}__{name}") for name in sums]
    )
    if group.entity in SMALL_ENTITIES:
        renamed = F.broadcast(renamed)
    return rows.join(renamed, on=[*group.entity, "snapshot_ds"], how="left")
