"""Whether the features that the last feeds were scored with are what training now makes of the same rows."""

from core.table import Column, MeanBetween, Table

TABLE = Table(
    name="parity",
    doc=__doc__,
    owner="feed-ranking",
    columns=(
        Column("recipe", "string", "The feed."),
        Column("table", "string", "Where that feed stands: feeds; or refreshed_feeds, all that was made anew on `ds`."),
        Column("feed_ds", "date", "The night whose feed was made again: the last before `ds`."),
        Column("rows", "bigint", "Scored slots of that feed.", minimum=0),
        Column("mismatched", "bigint", "Slots whose feature vector is another one now.", minimum=0),
        Column("mismatch_rate", "double", "Mismatched per row, 0 without rows.", minimum=0.0, maximum=1.0),
        Column(
            "changed",
            "array<string>",
            "Tables whose content for that night is no longer what the feed was scored with.",
        ),
    ),
    key=("recipe", "table"),
    fresh_for_hours=36,
    min_rows=0,
    checks=(MeanBetween("mismatch_rate", 0.0, 0.0),),
)
