"""What a peer is: a way to propose videos, the settings that were tried, and the one that validation chose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from rows import Rows

Settings = Mapping[str, object]
"""What validation chooses, by name."""
Propose = Callable[[Rows, np.ndarray, Settings, int], np.ndarray]
"""Rows, users, settings and a seed to users × places of videos in `rows.videos`, best first, -1 for none."""


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
