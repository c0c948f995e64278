"""What is shown to users who have no feed: the best of each audience segment, and of all."""

from core.table import Column, Table

TABLE = Table(
    name="fallback_feeds",
    doc=__doc__,
    owner="feed-ranking",
    columns=(
        Column("recipe", "string", "The recipe, a file of conf/feeds/."),
        Column(
            "tier",
            "string",
            "segment: for users of one segment; popular: for everyone else.",
            choices=("segment", "popular"),
        ),
        Column("segment", "string", "The segment (column activity of table users); empty in the popular tier."),
        Column("slot", "int", "Place in the list, first is 1.", minimum=1),
        Column("video_id", "bigint", "What to show there.", minimum=0),
    ),
    key=("recipe", "tier", "segment", "slot"),
    fresh_for_hours=30,
    min_rows=0,
)
