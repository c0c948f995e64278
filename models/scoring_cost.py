"""What scoring with a ranker costs: processor time a row, and size."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.ranker import Ranker

ROWS = 4_096
RUNS = 5


@dataclass(frozen=True)
class ScoringCost:
    """`microseconds`: processor time of one thread a row, all heads; `megabytes`: the trees as text."""

    microseconds: float
    megabytes: float


def scoring_cost(ranker: Ranker, seed: int) -> ScoringCost:
    """Returns what `ranker` costs on seeded random rows: the least of several runs, which is what no one disturbed."""
    import numpy as np

    matrix = np.random.default_rng(seed).normal(size=(ROWS, len(ranker.features))).astype(np.float32)
    taken = []
    for _ in range(RUNS):
        began = time.thread_time()
        ranker.predict(matrix)
        taken.append(time.thread_time() - began)
    size = sum(len(model.booster.encode()) for model in ranker.models)
    return ScoringCost(1e6 * min(taken) / ROWS, size / 1e6)
