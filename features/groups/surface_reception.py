"""How videos have lately been received on each surface of the app."""

from features.group import FeatureGroup
from features.measures import RECEPTION
from features.window import last

GROUP = FeatureGroup(
    name="surface_reception",
    doc=__doc__,
    owner="feed-ranking",
    entity=("surface",),
    windows=last(7),
    features=RECEPTION,
    prior_strength=100,
    max_age_hours=36,
    parent="all_reception",
)
