"""How videos of each tag have lately been received."""

from features.group import FeatureGroup
from features.measures import RECEPTION
from features.window import last

GROUP = FeatureGroup(
    name="tag_reception",
    doc=__doc__,
    owner="feed-ranking",
    entity=("tag_id",),
    windows=last(28),
    features=RECEPTION,
    prior_strength=100,
    max_age_hours=36,
    parent="all_reception",
)
