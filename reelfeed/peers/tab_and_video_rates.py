"""No model: how often the tab's impressions and the video's are watched for long, as a sum of log odds."""

from __future__ import annotations

import numpy as np
from peer import RankingPeer, Settings
from rates import rates_of
from scipy.special import logit
from shown import Shown


def score(shown: Shown, settings: Settings, seed: int) -> np.ndarray:
    """Scores by logit(rate of the tab) + logit(rate of the video)."""
    strength = float(str(settings["prior_strength"]))
    found: np.ndarray = sum(logit(rates_of(shown.asked, shown, column, strength)) for column in ("surface", "video_id"))
    return found


GRID = tuple({"prior_strength": strength} for strength in (3.0, 10.0, 30.0, 100.0, 300.0))
# GAUC on 2022-05-01..02 of the KuaiRand-Pure slice, in the order of the grid: .6312, .6316, .6315, .6289, .6255.
CHOSEN = {"prior_strength": 10.0}
PEER = RankingPeer("tab_and_video_rates", score, GRID, CHOSEN, is_random=False)
