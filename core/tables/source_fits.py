"""How fitting each candidate source went tonight."""

from core.table import Column, Table

TABLE = Table(
    name="source_fits",
    doc=__doc__,
    owner="feed-candidates",
    columns=(
        Column("source", "string", "The candidate source, a file of models/sources/."),
        Column(
            "state",
            "string",
            "fitted; nothing, where it had nothing to learn from or stepped aside; failed.",
            choices=("fitted", "nothing", "failed"),
        ),
        Column("rows", "bigint", "Rows of its model.", minimum=0),
        Column("reason", "string", "What went wrong; empty where nothing did."),
    ),
    key=("source",),
    fresh_for_hours=36,
)
