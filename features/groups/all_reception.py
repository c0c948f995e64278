"""How impressions as a whole have lately been received: what everyone's rates are shrunk to in the end."""

from features.group import FeatureGroup
from features.measures import RECEPTION
from features.window import DECAYED, last

GROUP = FeatureGroup(
    name="all_reception",
    doc=__doc__,
    owner="feed-ranking",
    entity=(),
    windows=(*last(1, 7, 28), DECAYED),
    features=RECEPTION,
    prior_strength=100,
    max_age_hours=36,
    only_prior=True,
)
