"""How much of what users then watched for long each stage of the last night still held: sources, cuts, feed."""

from core.table import Column, Table

TABLE = Table(
    name="stage_recall",
    doc=__doc__,
    owner="feed-candidates",
    columns=(
        Column("recipe", "string", "The feed's recipe, a file of conf/feeds/."),
        Column("feed_ds", "date", "The night whose candidates and feeds these are."),
        Column(
            "stage",
            "string",
            "candidates, the merged lists; scored, what the pre-ranker left; feed; or `source NAME`, what of the "
            "candidates it named.",
        ),
        Column(
            "recall",
            "double",
            "Share of a user's truth that it holds, mean over users.",
            minimum=0.0,
            maximum=1.0,
        ),
        Column("low", "double", "Lower end of its 95 % interval."),
        Column("high", "double", "Upper end of its 95 % interval."),
        Column("only", "double", "Of a source: the share that no other source named; null of stages.", nullable=True),
        Column("videos", "double", "Mean videos per user.", minimum=0.0),
        Column("users", "bigint", "Users who watched something new to them for long.", minimum=0),
    ),
    key=("recipe", "stage"),
    fresh_for_hours=36,
    min_rows=0,
)
