"""Every video of the pool as known at the end of the day: what may be recommended tomorrow."""

from core.table import Column, Table

SHOWABLE = "is_visible and not is_advert"
"""Which rows a feed may show, in Spark's SQL."""

TABLE = Table(
    name="videos",
    doc=__doc__,
    owner="feed-data",
    columns=(
        Column("video_id", "bigint", "The video.", minimum=0),
        Column("author_id", "bigint", "Who posted it.", minimum=0),
        Column("tag_id", "int", "Its first tag; null where it has none.", nullable=True, minimum=0),
        Column("tags", "array<int>", "All its tags, in the app's order; empty where it has none."),
        Column("duration_ms", "bigint", "Length; null where unknown.", unit="ms", nullable=True, minimum=1),
        Column(
            "uploaded_on", "date", "Day of upload in the app's business time zone; null where unknown.", nullable=True
        ),
        Column("upload_type", "string", "How it was made or imported; 'unknown' where not given."),
        Column("music_id", "bigint", "The sound it uses; null where none.", nullable=True),
        Column(
            "is_visible",
            "boolean",
            "Whether it may be shown to anyone: not if withdrawn, or kept from feeds by a policy label.",
        ),
        Column("is_advert", "boolean", "Whether it is an advertisement, which feeds leave to other systems."),
    ),
    key=("video_id",),
    fresh_for_hours=72,
    guarded=True,
)
