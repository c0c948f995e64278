"""From what a peer proposes to the lists that are compared: whole, of the pool, nothing seen, nothing twice."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from rows import Rows, outside_pool, popular_places, weights

LENGTH = 200
"""Videos per list."""
BLOCK = 1024
"""Users whose lists are made at once; bounds the memory."""


def completed(proposed: np.ndarray, rows: Rows, users: np.ndarray, length: int = LENGTH) -> np.ndarray:
    """Returns users × `length` places of videos (int64), best first: the proposed ones, then the most popular ones.

    `proposed` is users × any number of places, best first, -1 for none. Videos the user was shown and videos outside
    the pool are left out. Filling up is kind to a peer that runs short of neighbours; it costs it nothing. Where a
    user has fewer than `length` videos left, the rest of the row is -1.
    """
    popular, barred = popular_places(rows), outside_pool(rows)
    seen, known = weights(rows, 0), rows.known_users
    found = []
    for start in range(0, len(users), BLOCK):
        block, those = proposed[start : start + BLOCK], users[start : start + BLOCK]
        order = np.empty((len(block), len(popular)), np.float32)  # the lower, the better
        order[:, popular] = block.shape[1] + np.arange(len(popular))
        user, position = np.nonzero(block >= 0)
        np.minimum.at(order, (user, block[user, position]), position.astype(np.float32))
        order[:, barred] = np.inf
        returning = np.flatnonzero(np.isin(those, known))
        user, video = seen[np.searchsorted(known, those[returning])].nonzero()
        order[returning[user], video] = np.inf
        found.append(_lowest(order, min(length, order.shape[1])))
    return np.concatenate(found) if found else np.empty((0, length), np.int64)


def _lowest(order: np.ndarray, length: int) -> np.ndarray:
    """Returns the columns of the `length` lowest values of each row, lowest first, -1 for infinite ones."""
    best = np.argpartition(order, length - 1, axis=1)[:, :length]
    best = np.take_along_axis(best, np.argsort(np.take_along_axis(order, best, axis=1), axis=1), axis=1)
    return np.where(np.isfinite(np.take_along_axis(order, best, axis=1)), best, -1)


def table_of(places: np.ndarray, rows: Rows, users: np.ndarray) -> pa.Table:
    """Returns one row per user: user_id (int64), videos (list of int64, best first)."""
    kept = places >= 0
    offsets = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int32)
    videos = pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows.videos[places[kept]], pa.int64()))
    return pa.table({"user_id": pa.array(users, pa.int64()), "videos": videos})
