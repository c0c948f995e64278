"""Whether the user follows the author, and how many do."""

from features.group import Fact, FactGroup

GROUP = FactGroup(
    name="social",
    doc=__doc__,
    owner="feed-ranking",
    features=(
        Fact("follows_author", "coalesce(follows_author, 0)", "1 where the user follows the author, else 0."),
        Fact("author_followers", "ln(1 + coalesce(author_followers, 0))", "Users who follow the author.", "ln(1 + n)"),
    ),
    max_age_hours=72,
)
