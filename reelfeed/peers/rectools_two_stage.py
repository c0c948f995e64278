"""RecTools' two-stage recipe: candidates of ALS, item neighbours and popularity, put in order by LightGBM.

As its tutorial on CandidateRankingModel has it: the last days train the reranker on what models of the days before
propose, scores and ranks of the first stage beside features of user and video, negatives sampled per user; then the
first stage is fitted anew on all days.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import implicit_als
import implicit_item_knn
import numpy as np
from lightgbm import LGBMClassifier, LGBMRanker
from lists import LENGTH
from peer import Peer, Settings
from rectools.models import ImplicitALSWrapperModel, ImplicitItemKNNWrapperModel, PopularModel
from rectools.models.ranking import CandidateGenerator, CandidateRankingModel, PerUserNegativeSampler, Reranker
from rectools_features import CATEGORICAL, Features, GroupedReranker, LongViewSplitter
from rectools_tables import dataset_of, places_of
from rows import Rows
from threadpoolctl import threadpool_limits

HOLDOUT = "2D"
"""Last days that train the reranker: as many as validation and test have."""
CANDIDATES = 200
"""Candidates per first-stage model and user."""
BOOSTER: dict[str, Any] = {
    "n_estimators": 200,
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_child_samples": 50,
    "verbose": -1,
}


def _generator(model: object) -> CandidateGenerator:
    return CandidateGenerator(model, num_candidates=CANDIDATES, keep_ranks=True, keep_scores=True)


def model(rows: Rows, settings: Settings, seed: int) -> CandidateRankingModel:
    """Returns RecTools' two-stage model over the first-stage settings that were chosen for the peers of those names."""
    days = settings["popular_days"]
    first_stage = [
        ImplicitALSWrapperModel(implicit_als.model(implicit_als.PEER.chosen, seed)),
        ImplicitItemKNNWrapperModel(implicit_item_knn.model(implicit_item_knn.PEER.chosen)),
        PopularModel(period=timedelta(days=int(str(days))) if days else None),
    ]
    booster = BOOSTER | {"n_estimators": settings["trees"], "random_state": seed}
    if settings["reranker"] == "ranker":
        reranker = GroupedReranker(LGBMRanker(**booster), {"categorical_feature": CATEGORICAL})
    else:
        reranker = Reranker(LGBMClassifier(**booster), {"categorical_feature": CATEGORICAL})
    return CandidateRankingModel(
        [_generator(each) for each in first_stage],
        splitter=LongViewSplitter(HOLDOUT, long_views_only=settings["target"] == "long_view"),
        sampler=PerUserNegativeSampler(n_negatives=settings["negatives"], random_state=seed),
        reranker=reranker,
        feature_collector=Features(rows.users, rows.pool),
    )


def propose(rows: Rows, users: np.ndarray, settings: Settings, seed: int) -> np.ndarray:
    """Proposes the candidates of the first stage in the order of the reranker."""
    dataset = dataset_of(rows, implicit_als.LONG_VIEW_WEIGHT)
    with threadpool_limits(1, "blas"):
        fitted = model(rows, settings, seed).fit(dataset)
        pool = rows.pool["video_id"].to_numpy()
        found = fitted.recommend(users, dataset, k=LENGTH, filter_viewed=True, items_to_recommend=pool)
    places: np.ndarray = places_of(found, rows, users)
    return places


GRID = tuple(
    {"reranker": reranker, "target": target, "negatives": negatives, "popular_days": popular_days, "trees": trees}
    for reranker, target, negatives, popular_days, trees in (
        ("classifier", "long_view", 3, None, 200),
        ("classifier", "long_view", 30, None, 200),
        ("classifier", "impression", 30, None, 200),
        ("ranker", "long_view", 30, None, 200),
        ("classifier", "long_view", 30, 2, 200),
        ("classifier", "long_view", 30, 2, 50),
    )
)
# Recall@100 on 2022-05-01..02 of the KuaiRand-Pure slice, seed 1, in the order of the grid: .307, .312, .308, .301,
# .315 and .324.
CHOSEN = GRID[-1]
PEER = Peer("rectools_two_stage", propose, GRID, CHOSEN, is_random=True)
