"""Every decision about who is champion, with its reasons: the registry alone keeps no history."""

from core.table import Column, Table

TABLE = Table(
    name="promotions",
    doc=__doc__,
    owner="feed-ranking",
    columns=(
        Column("recipe", "string", "The feed."),
        Column("number", "int", "Order within the day: 0 is the gate's decision, people's follow from 1.", minimum=0),
        Column(
            "decision",
            "string",
            "What was decided: overridden, by people, against or without the gate.",
            choices=("promoted", "kept", "overridden"),
        ),
        Column("champion", "string", "The model that serves after the decision."),
        Column("champion_version", "int", "Its version in the MLflow registry.", minimum=1),
        Column("challenger", "string", "The model that asked to serve, or was asked for by people."),
        Column("reasons", "array<string>", "Every reason, one sentence each."),
    ),
    key=("recipe", "number"),
    fresh_for_hours=24 * 7,
)
