"""Embeddings of users and videos for others to use: an index for nearest neighbours, a ranker elsewhere."""

from core.table import Column, Table

TABLE = Table(
    name="embeddings",
    doc=__doc__,
    owner="feed-candidates",
    columns=(
        Column("source", "string", "The candidate source that learned it; inner products of two sources mean nothing."),
        Column(
            "kind",
            "string",
            "What it describes: a user, a video, or, with entity_id 0, anyone of whom nothing is known.",
            choices=("user", "video", "anyone"),
        ),
        Column("entity_id", "bigint", "The user or the video.", minimum=0),
        Column("embedding", "array<float>", "The vector; score of a video for a user is their inner product."),
        Column("model", "string", "Content hash of that night's source_models: vectors of one hash belong together."),
    ),
    key=("source", "kind", "entity_id"),
    fresh_for_hours=36,
    min_rows=0,
)
