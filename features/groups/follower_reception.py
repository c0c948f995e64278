"""How each video has lately been received by those of its viewers who follow its author."""

from features.group import FeatureGroup
from features.measures import AFFINITY
from features.window import last

GROUP = FeatureGroup(
    name="follower_reception",
    doc=__doc__,
    owner="feed-ranking",
    entity=("video_id",),
    windows=last(28),
    features=AFFINITY,
    prior_strength=30,
    max_age_hours=36,
    parent="video_reception",
    where="viewer_follows",
)
