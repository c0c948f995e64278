"""Every time a user was shown a video, and what came of it: the facts that everything else is made of."""

from core.table import Column, MeanBetween, Table

LONGEST_WATCH_MS = 6 * 3_600_000

TABLE = Table(
    name="impressions",
    doc=__doc__,
    owner="feed-data",
    columns=(
        Column("user_id", "bigint", "Who was shown the video.", minimum=0),
        Column("video_id", "bigint", "Which video was shown.", minimum=0),
        Column("shown_at", "timestamp", "When the video came on screen, UTC."),
        Column(
            "shown_on",
            "date",
            "Calendar day of shown_at in the app's business time zone; ds or, for late rows, before.",
        ),
        Column("shown_hour", "int", "Hour of day of shown_at in that zone.", unit="h", minimum=0, maximum=23),
        Column("surface", "int", "Which tab or screen of the app showed it.", minimum=0, maximum=99),
        Column(
            "position",
            "int",
            "Place in its session, first is 1; null where the log has none.",
            nullable=True,
            minimum=1,
        ),
        Column("is_random", "boolean", "Whether an exploration slot drew the video uniformly from the pool."),
        Column(
            "propensity",
            "double",
            "Probability of this video in this slot, given that exploration filled it; null for other slots.",
            nullable=True,
            minimum=0.0,
            maximum=1.0,
        ),
        Column("author_id", "bigint", "Who posted the video.", minimum=0),
        Column("tag_id", "int", "The video's first tag; null where it has none.", nullable=True, minimum=0),
        Column(
            "duration_ms", "bigint", "Length of the video; null where unknown.", unit="ms", nullable=True, minimum=1
        ),
        Column("watch_ms", "bigint", "Time watched, loops included.", unit="ms", minimum=0, maximum=LONGEST_WATCH_MS),
        Column("is_click", "boolean", "Opened, or played beyond the app's valid-play threshold."),
        Column("is_long_view", "boolean", "Watched to the end, or for 18 s where the video is longer."),
        Column("is_like", "boolean", "Liked."),
        Column("is_follow", "boolean", "Followed the author from here."),
        Column("is_comment", "boolean", "Commented."),
        Column("is_share", "boolean", "Shared."),
        Column("is_profile_visit", "boolean", "Opened the author's profile."),
        Column("is_not_interested", "boolean", "Asked for less of this: the negative signal."),
    ),
    key=("user_id", "video_id", "shown_at"),
    fresh_for_hours=36,
    checks=(
        MeanBetween("is_long_view", 0.05, 0.8),
        MeanBetween("is_like", 0.0, 0.3),
        MeanBetween("is_not_interested", 0.0, 0.1),
    ),
    guarded=True,
)

REACTIONS = tuple(column.name for column in TABLE.columns if column.type == "boolean" and column.name != "is_random")
"""The columns that say what a user did about a showing, beside the time watched."""
