"""How each user has lately received videos of each tag."""

from features.group import FeatureGroup
from features.measures import MEASURES, reception

PRIOR_STRENGTH = 10

GROUP = FeatureGroup(
    name="user_tag_affinity",
    doc=__doc__,
    owner="feed-ranking",
    entity=("user_id", "tag_id"),
    measures=MEASURES,
    windows=(7, 28),
    features=reception(PRIOR_STRENGTH),
    max_age_hours=36,
    parent="user_reception",
)
