"""How much each user has lately been shown, and how they received it."""

from features.group import FeatureGroup
from features.measures import RECEPTION
from features.window import last

GROUP = FeatureGroup(
    name="user_activity",
    doc=__doc__,
    owner="feed-ranking",
    entity=("user_id",),
    windows=last(7, 28),
    features=RECEPTION,
    prior_strength=20,
    max_age_hours=36,
    parent="all_reception",
)
