"""How each author's videos have lately been received: the author's reputation."""

from features.group import FeatureGroup
from features.measures import RECEPTION
from features.window import last

GROUP = FeatureGroup(
    name="author_reception",
    doc=__doc__,
    owner="feed-ranking",
    entity=("author_id",),
    windows=last(7, 28),
    features=RECEPTION,
    prior_strength=30,
    max_age_hours=36,
    parent="all_reception",
)
