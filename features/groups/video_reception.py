"""How each video has lately been received by the people it was shown to."""

from features.group import FeatureGroup
from features.measures import MEASURES, reception

PRIOR_STRENGTH = 30

GROUP = FeatureGroup(
    name="video_reception",
    doc=__doc__,
    owner="feed-ranking",
    entity=("video_id",),
    measures=MEASURES,
    windows=(1, 7, 28),
    features=reception(PRIOR_STRENGTH),
    max_age_hours=36,
    parent="all_reception",
)
