"""What each system scored on the test days, with intervals: the figures that promotion and reports rest on."""

from core.table import Column, Table

TABLE = Table(
    name="evaluations",
    doc=__doc__,
    owner="feed-ranking",
    columns=(
        Column("recipe", "string", "The feed."),
        Column(
            "system",
            "string",
            "challenger, champion, popularity, random, oracle, placebo, or A_minus_B for a paired difference.",
        ),
        Column(
            "head", "string", "The head whose label is ranked or predicted; value where lists are ordered as a feed is."
        ),
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
    key=("recipe", "system", "head", "metric"),
    fresh_for_hours=24 * 7,
)
