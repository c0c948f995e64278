"""How each author's videos have lately been received."""

from features.group import FeatureGroup
from features.measures import MEASURES, reception

PRIOR_STRENGTH = 50

GROUP = FeatureGroup(
    name="author_reception",
    doc=__doc__,
    owner="feed-ranking",
    entity=("author_id",),
    measures=MEASURES,
    windows=(7, 28),
    features=reception(PRIOR_STRENGTH),
    max_age_hours=36,
    parent="all_reception",
)
