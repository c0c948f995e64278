"""How each user has lately received videos of each tag."""

from features.group import FeatureGroup
from features.measures import AFFINITY
from features.window import last

GROUP = FeatureGroup(
    name="user_tag_affinity",
    doc=__doc__,
    owner="feed-ranking",
    entity=("user_id", "tag_id"),
    windows=last(28),
    features=AFFINITY,
    prior_strength=10,
    max_age_hours=36,
    parent="user_activity",
)
