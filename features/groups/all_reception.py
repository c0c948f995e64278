"""How everything shown was received: the prior of all priors."""

from features.group import FeatureGroup
from features.measures import MEASURES, reception

PRIOR_STRENGTH = 400

GROUP = FeatureGroup(
    name="all_reception",
    doc=__doc__,
    owner="feed-ranking",
    entity=(),
    measures=MEASURES,
    windows=(1, 7, 28),
    features=reception(PRIOR_STRENGTH),
    max_age_hours=36,
    only_prior=True,
)
