"""The videos of most long views, the same for all."""

from __future__ import annotations

import numpy as np
from peer import Peer, Settings
from rows import Rows


def propose(rows: Rows, users: np.ndarray, settings: Settings, seed: int) -> np.ndarray:
    """Proposes nothing of its own: a list is filled up with the most popular videos, and that is all of it."""
    return np.full((len(users), 1), -1)


PEER = Peer("popularity", propose, grid=({},), chosen={}, is_random=False, serves_new_users=True)
