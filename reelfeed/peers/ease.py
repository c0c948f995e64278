"""RecTools' EASE: a linear model from what the user was shown to every video, solved in closed form.

Steck (2019), Embarrassingly shallow autoencoders for sparse data.
"""

from __future__ import annotations

import numpy as np
from lists import LENGTH
from peer import Peer, Settings
from rectools.models import EASEModel
from rectools_tables import dataset_of, places_of
from rows import Rows


def propose(rows: Rows, users: np.ndarray, settings: Settings, seed: int) -> np.ndarray:
    """Proposes the videos that the user's row predicts most of."""
    dataset = dataset_of(rows, float(str(settings["long_view_weight"])))
    model = EASEModel(regularization=settings["ridge"], recommend_use_gpu_ranking=False).fit(dataset)
    found = model.recommend(
        users, dataset, k=LENGTH, filter_viewed=True, items_to_recommend=rows.pool["video_id"].to_numpy()
    )
    places: np.ndarray = places_of(found, rows, users)
    return places


GRID = tuple(
    {"ridge": ridge, "long_view_weight": long_view_weight}
    for long_view_weight in (0.0, 3.0)
    for ridge in (300.0, 1000.0, 3000.0, 10000.0, 30000.0)
)
# Recall@100 on 2022-05-01..02 of the KuaiRand-Pure slice: .233, .265, .2735, .2737 and .2737 for these ridges without
# weights for long views, .241 at 10,000 with them.
CHOSEN = {"ridge": 10000.0, "long_view_weight": 0.0}
PEER = Peer("ease", propose, GRID, CHOSEN, is_random=False)
