"""How videos have lately been received on each surface of the app."""

from features.group import FeatureGroup
from features.measures import MEASURES, reception

PRIOR_STRENGTH = 100

GROUP = FeatureGroup(
    name="surface_reception",
    doc=__doc__,
    owner="feed-ranking",
    entity=("surface",),
    measures=MEASURES,
    windows=(7, 28),
    features=reception(PRIOR_STRENGTH),
    max_age_hours=36,
    parent="all_reception",
)
