"""Every decision about who is champion, with its reasons: the registry alone keeps no history."""

from core.table import Column, Table

TABLE = Table(
    name="promotions",
    doc=__doc__,
    owner="feed-ranking",
    columns=(
        Column("recipe", "string", "The feed."),
        Column("decision", "string", "What was decided.", choices=("promoted", "kept")),
        Column("champion", "string", "The model that serves after the decision."),
        Column("champion_version", "int", "Its version in the MLflow registry.", minimum=1),
        Column("challenger", "string", "The model that asked to serve."),
        Column("reasons", "array<string>", "Every reason, one sentence each."),
    ),
    key=("recipe",),
    fresh_for_hours=24 * 7,
)
