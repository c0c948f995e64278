"""How videos of each tag have lately been received."""

from features.group import FeatureGroup
from features.measures import MEASURES, reception

PRIOR_STRENGTH = 100

GROUP = FeatureGroup(
    name="tag_reception",
    doc=__doc__,
    owner="feed-ranking",
    entity=("tag_id",),
    measures=MEASURES,
    windows=(7, 28),
    features=reception(PRIOR_STRENGTH),
    max_age_hours=36,
    parent="all_reception",
)
