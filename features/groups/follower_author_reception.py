"""How each author's videos have lately been received by those who follow the author."""

from features.group import FeatureGroup
from features.measures import AFFINITY
from features.window import last

GROUP = FeatureGroup(
    name="follower_author_reception",
    doc=__doc__,
    owner="feed-ranking",
    entity=("author_id",),
    windows=last(28),
    features=AFFINITY,
    prior_strength=30,
    max_age_hours=36,
    parent="author_reception",
    where="viewer_follows",
)
