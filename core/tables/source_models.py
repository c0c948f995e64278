"""What the candidate sources learned tonight: similar videos, embeddings, trending lists, in one shape for all."""

from core.table import Column, Table

TABLE = Table(
    name="source_models",
    doc=__doc__,
    owner="feed-candidates",
    columns=(
        Column("source", "string", "The candidate source, a file of models/sources/."),
        Column("part", "string", "Which part of its model the row belongs to, as that file documents."),
        Column("entity_id", "bigint", "What the row describes: a user, a video, a segment.", minimum=0),
        Column(
            "target_id",
            "bigint",
            "What it points to: a video, or what that file says; -1 for a row that describes the entity alone.",
            minimum=-1,
        ),
        Column("score", "double", "Strength of that link; 0 for a row that holds an embedding."),
        Column("embedding", "array<float>", "The entity's vector; empty for a row that holds a link."),
    ),
    key=("source", "part", "entity_id", "target_id"),
    fresh_for_hours=36,
)
