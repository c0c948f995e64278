"""Who follows whom at the end of the day. Empty where the logs hold no follow graph."""

from core.table import Column, Table

TABLE = Table(
    name="follows",
    doc=__doc__,
    owner="feed-data",
    columns=(
        Column("user_id", "bigint", "The follower.", minimum=0),
        Column("author_id", "bigint", "The author followed.", minimum=0),
    ),
    key=("user_id", "author_id"),
    fresh_for_hours=72,
    min_rows=0,
)
