"""How late every table of the night is, feature groups among them."""

from core.table import Column, Table

TABLE = Table(
    name="health",
    doc=__doc__,
    owner="feed-data",
    columns=(
        Column("table", "string", "The table; a feature group's snapshot is features_GROUP."),
        Column("newest", "date", "Its newest day until `ds`; null where it has none.", nullable=True),
        Column("lag_hours", "int", "From the end of its newest day to that of `ds`.", "h", nullable=True, minimum=0),
        Column("allowed_hours", "int", "Lag beyond which its rows no longer serve.", "h", minimum=1),
        Column(
            "state",
            "string",
            "fresh: it has the day; late: an older day serves; stale: too old to serve; never: nothing was published.",
            choices=("fresh", "late", "stale", "never"),
        ),
    ),
    key=("table",),
    fresh_for_hours=36,
)
