"""Who the user is, by their account."""

from features.group import Fact, FactGroup

ACTIVITY_CODES = 997

GROUP = FactGroup(
    name="user_profile",
    doc=__doc__,
    owner="feed-ranking",
    features=(
        Fact("account_age", "account_age_days", "Days since registration.", "days"),
        Fact("following", "ln(1 + following_count)", "Accounts that the user follows.", "ln(1 + n)"),
        Fact("followers", "ln(1 + follower_count)", "Accounts that follow the user.", "ln(1 + n)"),
        Fact(
            "activity",
            f"pmod(crc32(activity), {ACTIVITY_CODES})",
            f"The app's activity class: its CRC-32 modulo {ACTIVITY_CODES}.",
            categorical=True,
        ),
    ),
    max_age_hours=72,
)
