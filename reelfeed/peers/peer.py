"""What a peer is: a way to propose videos or to score rows, the settings tried, and the one that validation chose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from rows import Rows
from shown import Shown

Settings = Mapping[str, object]
"""What validation chooses, by name."""
Propose = Callable[[Rows, np.ndarray, Settings, int], np.ndarray]
"""Rows, users, settings and a seed to users × places of videos in `rows.videos`, best first, -1 for none."""
Score = Callable[[Shown, Settings, int], np.ndarray]
"""Impressions, settings and a seed to a score for each asked one (float64), the higher the better."""


@dataclass(frozen=True)
class Peer:
    """One recommender to compare with; its file is named as it is.

    grid: the settings tried on the last days of the training rows (run.py --tune tries them anew). chosen: the best of
    them by recall@100. is_random: differs from seed to seed. serves_new_users: proposes for users without any row.
    """

    name: str
    propose: Propose
    grid: tuple[Settings, ...]
    chosen: Settings
    is_random: bool
    serves_new_users: bool = False


@dataclass(frozen=True)
class RankingPeer:
    """One way to order logged impressions; its file is named as it is.

    grid: the settings tried on the last days of the learnt rows (run.py --tune tries them anew). chosen: the best of
    them by GAUC. is_random: differs from seed to seed.
    """

    name: str
    score: Score
    grid: tuple[Settings, ...]
    chosen: Settings
    is_random: bool
