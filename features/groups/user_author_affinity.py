"""How each user has lately received each author."""

from features.group import FeatureGroup
from features.measures import AFFINITY
from features.window import last

GROUP = FeatureGroup(
    name="user_author_affinity",
    doc=__doc__,
    owner="feed-ranking",
    entity=("user_id", "author_id"),
    windows=last(28),
    features=AFFINITY,
    prior_strength=10,
    max_age_hours=36,
    parent="user_activity",
)
