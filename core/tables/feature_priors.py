"""How strongly each rate was shrunk to its parent's, and the moments that say so: as used by the snapshots of `ds`."""

from core.table import Column, Table

TABLE = Table(
    name="feature_priors",
    doc=__doc__,
    owner="feed-ranking",
    columns=(
        Column("feature", "string", "The rate, as GROUP__RATE_WINDOW."),
        Column("strength", "double", "Impressions that the parent's rate counts for.", minimum=0.0),
        Column("is_estimated", "boolean", "Whether the data gave the strength; else its group's declaration did."),
        Column("entities", "bigint", "Entities with at least one impression in the window.", minimum=0),
        Column("within", "double", "Variance of one impression within an entity.", minimum=0.0),
        Column("between", "double", "Variance of entities' true rates around their parents'.", minimum=0.0),
    ),
    key=("feature",),
    fresh_for_hours=36,
)
