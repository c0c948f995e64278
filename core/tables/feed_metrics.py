"""What the feeds of a night are like as a whole: how much of the catalogue they show, how evenly, varied and new."""

from core.table import Column, Table

TABLE = Table(
    name="feed_metrics",
    doc=__doc__,
    owner="feed-ranking",
    columns=(
        Column("recipe", "string", "The feed's recipe, a file of conf/feeds/."),
        Column(
            "metric",
            "string",
            "coverage; exposure_gini; diversity_tags and diversity_SOURCE, by embeddings of that source; age_days; "
            "new_videos; value; tier_TIER; users: as models/feed_metrics.py defines them.",
        ),
        Column(
            "cohort",
            "string",
            "Whose feeds: all; known, of users with a showing in the last 28 days; new, of users without.",
            choices=("all", "known", "new"),
        ),
        Column(
            "value", "double", "The figure: shares, Gini and diversities in [0, 1], age in days, value in its unit."
        ),
        Column(
            "low", "double", "Lower end of its 95 % interval, bootstrap over users; null where none.", nullable=True
        ),
        Column("high", "double", "Upper end of it.", nullable=True),
        Column("users", "bigint", "Users it rests on.", minimum=0),
    ),
    key=("recipe", "metric", "cohort"),
    fresh_for_hours=36,
    min_rows=0,
)
