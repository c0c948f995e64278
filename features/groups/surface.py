"""Which surface of the app shows the feed."""

from features.group import Fact, FactGroup

GROUP = FactGroup(
    name="surface",
    doc=__doc__,
    owner="feed-ranking",
    features=(
        Fact(
            "code",
            "surface",
            "The surface, as the app numbers it; a feed is scored for its recipe's.",
            categorical=True,
        ),
    ),
    max_age_hours=36,
)
