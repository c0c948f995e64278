"""The package implicit's nearest neighbours: videos shown to the same users as those the user was shown."""

from __future__ import annotations

import warnings

import numpy as np
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, ItemItemRecommender, TFIDFRecommender
from lists import LENGTH
from peer import Peer, Settings
from rows import Rows, outside_pool, weights

KINDS = {
    "co-occurrence": ItemItemRecommender,
    "cosine": CosineRecommender,
    "tf-idf": TFIDFRecommender,
    "bm25": BM25Recommender,
}


def model(settings: Settings) -> ItemItemRecommender:
    """Returns implicit's recommender of the kind and number of neighbours of `settings`."""
    return KINDS[str(settings["kind"])](K=settings["neighbours"])


def propose(rows: Rows, users: np.ndarray, settings: Settings, seed: int) -> np.ndarray:
    """Proposes the videos of largest summed similarity to those the user was shown; none where nothing is similar."""
    shown = weights(rows, float(str(settings["long_view_weight"])))
    fitted = model(settings)
    with warnings.catch_warnings(action="ignore"):  # implicit warns of the format that it made itself
        fitted.fit(shown.astype(np.float64), show_progress=False)
    places = np.searchsorted(rows.known_users, users)
    found, scores = fitted.recommend(
        places, shown[places].astype(np.float64), N=LENGTH, filter_items=outside_pool(rows)
    )
    return np.where(scores > 0, found, -1)


GRID = tuple(
    {"kind": kind, "neighbours": neighbours, "long_view_weight": long_view_weight}
    for kind in KINDS
    for neighbours in (200, 1000, 6000)
    for long_view_weight in (0.0, 3.0)
)
# Recall@100 on 2022-05-01..02 of the KuaiRand-Pure slice: .290 for plain co-occurrence with all neighbours or 1,000 of
# them, .287 with 200; .144 for TF-IDF, .140 for cosine, .134 for BM25 (long views weighing 3 more) at their best.
CHOSEN = {"kind": "co-occurrence", "neighbours": 6000, "long_view_weight": 0.0}
PEER = Peer("implicit_item_knn", propose, GRID, CHOSEN, is_random=False)
