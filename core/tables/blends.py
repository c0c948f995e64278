"""How far each source is trusted where their lists are merged, and whether these weights are served."""

from core.table import Column, Table

TABLE = Table(
    name="blends",
    doc=__doc__,
    owner="feed-candidates",
    columns=(
        Column("recipe", "string", "The feed's recipe, a file of conf/feeds/."),
        Column("source", "string", "The candidate source, a file of models/sources/."),
        Column("rank_weight", "double", "Weight of 1 / √rank in that source's list."),
        Column(
            "score_weight", "double", "Weight of the score, between 0 for the last and 1 for the first of the list."
        ),
        Column("is_served", "boolean", "Whether the blend had the larger recall@100, on users it was not fitted on."),
    ),
    key=("recipe", "source"),
    fresh_for_hours=60,
)
