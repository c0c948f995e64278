"""The videos that may end in a user's feed tonight, with every source that named them."""

from core.table import Column, Table

SOURCES = "array<struct<source:string,rank:int,score:double>>"

TABLE = Table(
    name="candidates",
    doc=__doc__,
    owner="feed-candidates",
    columns=(
        Column("user_id", "bigint", "For whom.", minimum=0),
        Column("video_id", "bigint", "Which video.", minimum=0),
        Column("rank", "int", "Place in the merged order of all sources, first is 1.", minimum=1),
        Column(
            "sources",
            SOURCES,
            "Sources that named it, by name, each with its own rank (first is 1) and score.",
        ),
    ),
    key=("user_id", "video_id"),
    fresh_for_hours=36,
)
