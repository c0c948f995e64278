"""What experiments scored on the test days, beside the champion and popularity: read by people, never by serving."""

from core.table import Column, Table

TABLE = Table(
    name="experiments",
    doc=__doc__,
    owner="feed-ranking",
    columns=(
        Column("recipe", "string", "The feed."),
        Column("experiment", "string", "Twelve hex digits of what it changes: the same changes give the same."),
        Column("name", "string", "What its author called it; may be empty."),
        Column("changes", "string", "What it changes against the nightly training, as JSON."),
        Column("model", "string", "The ranker's content hash; it is not registered."),
        Column("system", "string", "As in table evaluations; the experiment's ranker is the challenger."),
        Column("head", "string", "The head whose label is ranked or predicted."),
        Column("metric", "string", "The metric, as models/metrics.py defines it."),
        Column("value", "double", "Its value on all test rows."),
        Column(
            "low",
            "double",
            "Lower end of the 95 % interval, bootstrap over users; null where none is drawn.",
            nullable=True,
        ),
        Column("high", "double", "Upper end of it.", nullable=True),
        Column("rows", "bigint", "Impressions it rests on.", minimum=1),
        Column("users", "bigint", "Users it rests on.", minimum=1),
    ),
    key=("recipe", "experiment", "system", "head", "metric"),
    fresh_for_hours=24 * 7,
)
