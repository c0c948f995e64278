"""How far each feature has moved on the newest days from what the ranker learned from."""

from core.table import Column, Table

TABLE = Table(
    name="feature_drift",
    doc=__doc__,
    owner="feed-ranking",
    columns=(
        Column("feature", "string", "The feature, as features.catalog names it."),
        Column(
            "distance",
            "double",
            "From train rows to test rows, models/drift.py: in standard deviations, of a category a share of rows; "
            "null: all values of a side are unknown.",
            nullable=True,
            minimum=0,
        ),
        Column("mean_before", "double", "Mean of its known values on train rows; null: none is.", nullable=True),
        Column("mean_now", "double", "The same of test rows.", nullable=True),
        Column("unknown_before", "double", "Share of train rows on which it is unknown.", minimum=0, maximum=1),
        Column("unknown_now", "double", "The same of test rows.", minimum=0, maximum=1),
        Column("rows_before", "bigint", "Train rows compared.", minimum=0),
        Column("rows_now", "bigint", "Test rows compared.", minimum=0),
    ),
    key=("feature",),
    fresh_for_hours=36,
    min_rows=0,
)
