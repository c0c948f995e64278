"""What cutting the candidates before they are ranked cost tonight, on users the pre-ranker had not learned from."""

from core.table import Column, Table

TABLE = Table(
    name="preranks",
    doc=__doc__,
    owner="feed-ranking",
    columns=(
        Column("recipe", "string", "The feed's recipe, a file of conf/feeds/."),
        Column("users", "bigint", "Users whose candidates were all ranked, to compare.", minimum=0),
        Column("candidates", "double", "Mean candidates of these users before the cut.", minimum=0.0),
        Column("scored", "double", "Mean candidates of these users after it.", minimum=0.0),
        Column(
            "value_kept",
            "double",
            "Value of a feed's length of the best candidates left, over that of the best of all; null without users.",
            nullable=True,
        ),
        Column("top_kept", "double", "Share of the best of all that are left; null without users.", nullable=True),
    ),
    key=("recipe",),
    fresh_for_hours=36,
)
