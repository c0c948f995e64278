"""Every registered user as known at the end of the day."""

from core.table import Column, Table

TABLE = Table(
    name="users",
    doc=__doc__,
    owner="feed-data",
    columns=(
        Column("user_id", "bigint", "The user.", minimum=0),
        Column(
            "account_age_days",
            "int",
            "Days since registration; null where unknown.",
            unit="days",
            nullable=True,
            minimum=0,
        ),
        Column("activity", "string", "The app's own activity class, in lower case; 'unknown' where it gives none."),
        Column("following_count", "bigint", "Accounts the user follows; null where unknown.", nullable=True, minimum=0),
        Column(
            "follower_count", "bigint", "Accounts that follow the user; null where unknown.", nullable=True, minimum=0
        ),
    ),
    key=("user_id",),
    fresh_for_hours=72,
    guarded=True,
)
