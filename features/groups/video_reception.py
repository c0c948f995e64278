"""How each video has lately been received by the people it was shown to."""

from features.group import FeatureGroup
from features.measures import RECEPTION
from features.window import DECAYED, last

GROUP = FeatureGroup(
    name="video_reception",
    doc=__doc__,
    owner="feed-ranking",
    entity=("video_id",),
    windows=(*last(1, 7, 28), DECAYED),
    features=RECEPTION,
    prior_strength=30,
    max_age_hours=36,
    parent="all_reception",
)
