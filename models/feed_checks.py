"""What users complain about in a feed, each as a named check with its figure: feeds that fail one are not served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

HEAD = 10
"""Slots by which two feeds are called the same."""

EXCEEDS = ", more than "
"""Stands in the figure of a check that does not hold."""


@dataclass(frozen=True)
class Limits:
    """The largest share that passes, 0 to 1: one number a check, named as in CHECKS; conf/publish.toml sets them."""

    seen: float
    repeated: float
    unshowable: float
    blocked: float
    short: float
    missing: float
    cold: float
    same: float


@dataclass(frozen=True)
class Check:
    """One check's figure: a share of `of` slots or users, and the limit it was held against."""

    name: str
    doc: str
    count: int
    of: int
    limit: float

    @property
    def share(self) -> float:
        return self.count / self.of if self.of else 0.0

    @property
    def holds(self) -> bool:
        return self.share <= self.limit

    def __str__(self) -> str:
        told = f"{self.name} {self.share:.2%} ({self.count:,} of {self.of:,} {self.doc})"
        return told if self.holds else f"{told}{EXCEEDS}{self.limit:.2%}"


CHECKS = {
    "seen": ("slots", "slots show a video that the user was shown in the last 28 days"),
    "repeated": ("slots", "slots repeat a video of the same feed"),
    "unshowable": ("slots", "slots show a video that is withdrawn, an advertisement or unknown"),
    "blocked": ("slots", "slots show a video of an author whom the user has blocked or muted"),
    "short": ("users", "users have a shorter feed than promised, with videos left that they could be shown"),
    "missing": ("users", "users have no feed, with videos left that they could be shown"),
    "cold": ("cold_users", "users without history have no feed"),
    "same": ("feeds", "feeds begin with the same ten videos"),
}
"""Check to what its share is of, and what it counts."""


def checked(
    feeds: DataFrame,
    met: DataFrame,
    users: DataFrame,
    showable: DataFrame,
    blocked: DataFrame,
    length: int,
    limits: Limits,
) -> list[Check]:
    """Returns every check of CHECKS over `feeds` (user_id, slot, video_id), one night's of one recipe.

    `met`: user_id, video_id, the distinct pairs shown in the last 28 days; `users`: user_id, who should have a feed;
    `showable`: video_id, author_id, what may be shown; `blocked`: user_id, author_id, the authors whom users have
    blocked; `length`: videos that a feed promises. A feed may be shorter where its user has met, or blocked the authors
    of, all but fewer showable videos.
    """
    from pyspark.sql import functions as F

    there = F.coalesce("is_showable", F.lit(False))
    shown = showable.select("video_id", "author_id", F.lit(True).alias("is_showable"))
    seen = met.join(F.broadcast(shown.drop("author_id")), on="video_id", how="left")
    unwanted = blocked.select("user_id", "author_id", F.lit(True).alias("is_blocked"))
    pairs = seen.select("user_id", "video_id", F.lit(True).alias("is_seen"))
    slots = (
        feeds.join(F.broadcast(shown), on="video_id", how="left")
        .join(pairs, on=["user_id", "video_id"], how="left")
        .join(unwanted, on=["user_id", "author_id"], how="left")
    )
    head = F.sort_array(F.collect_list(F.expr(f"if(slot <= {HEAD}, struct(slot, video_id), null)")))
    per_feed = slots.groupBy("user_id").agg(
        F.count(F.lit(1)).alias("slots"),
        (F.count(F.lit(1)) - F.count_distinct("video_id")).alias("repeated"),
        F.count_if(~there).alias("unshowable"),
        F.count("is_seen").alias("seen"),
        F.count("is_blocked").alias("blocked"),
        F.xxhash64(head).alias("head"),
    )
    pool = showable.count()
    history = seen.groupBy("user_id").agg(F.count_if(there).alias("met"))
    kept_out = unwanted.join(F.broadcast(shown), on="author_id", how="inner").select("user_id", "video_id")
    kept_out = kept_out.join(pairs, on=["user_id", "video_id"], how="left_anti")
    kept_out = kept_out.groupBy("user_id").agg(F.count(F.lit(1)).alias("kept_out"))
    everyone = (
        users.select("user_id")
        .join(per_feed, on="user_id", how="left")
        .join(history, on="user_id", how="left")
        .join(kept_out, on="user_id", how="left")
        .withColumn("left", F.lit(pool) - F.coalesce("met", F.lit(0)) - F.coalesce("kept_out", F.lit(0)))
        .withColumn("got", F.coalesce("slots", F.lit(0)))
        .cache()
    )
    can = (F.col("got") == 0) & (F.col("left") > 0)
    totals = everyone.agg(
        F.count(F.lit(1)).alias("users"),
        F.count_if(F.col("met").isNull()).alias("cold_users"),
        F.count("slots").alias("feeds"),
        F.coalesce(F.sum("got"), F.lit(0)).alias("slots"),
        *[F.coalesce(F.sum(name), F.lit(0)).alias(name) for name in ("seen", "repeated", "unshowable", "blocked")],
        F.count_if(F.col("got") < F.least(F.lit(length), F.col("left"))).alias("short"),
        F.count_if(can).alias("missing"),
        F.count_if(can & F.col("met").isNull()).alias("cold"),
    ).collect()[0]
    alike = everyone.where("slots is not null").groupBy("head").count().agg(F.max("count")).collect()[0][0]
    everyone.unpersist()
    counts = {**totals.asDict(), "same": alike or 0}
    return [
        Check(name, doc, int(counts[name]), int(counts[of]), getattr(limits, name))
        for name, (of, doc) in CHECKS.items()
    ]
