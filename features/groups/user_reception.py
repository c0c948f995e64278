"""How each user has lately received what they were shown."""

from features.group import FeatureGroup
from features.measures import MEASURES, reception

PRIOR_STRENGTH = 20

GROUP = FeatureGroup(
    name="user_reception",
    doc=__doc__,
    owner="feed-ranking",
    entity=("user_id",),
    measures=MEASURES,
    windows=(1, 7, 28),
    features=reception(PRIOR_STRENGTH),
    max_age_hours=36,
    parent="all_reception",
)
