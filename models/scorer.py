"""LightGBM models, as text, to predictions: by models/forest.py where it covers them, else by LightGBM itself."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.forest import Forest, forest_of, uncovered

if TYPE_CHECKING:
    import lightgbm

log = logging.getLogger("reelfeed")


@dataclass(frozen=True)
class Scorer:
    """Predicts several models: those at the places `covered` by the `forest`, the others by `boosters`, by place."""

    covered: tuple[int, ...]
    forest: Forest
    boosters: Mapping[int, lightgbm.Booster]

    def predict(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Returns predictions, float64 (rows, models), of `matrix`, float32 (rows, features), NaN unknown."""
        found = np.empty((len(matrix), len(self.covered) + len(self.boosters)))
        if not len(matrix):
            return found
        if self.covered:
            found[:, self.covered] = self.forest.predict(matrix)
        for place, booster in self.boosters.items():
            found[:, place] = booster.predict(matrix, num_threads=1)
        return found


@lru_cache(maxsize=8)
def scorer(texts: tuple[str, ...]) -> Scorer:
    """Returns the scorer of the models in `texts`, put together once a process; warns of any it leaves to LightGBM."""
    reasons = {place: uncovered(text) for place, text in enumerate(texts)}
    covered = tuple(place for place, reason in reasons.items() if not reason)
    boosters = {}
    for place, reason in reasons.items():
        if reason:
            import lightgbm

            log.warning(
                "model %d of %d is scored by LightGBM itself, several times slower: %s", place, len(texts), reason
            )
            boosters[place] = lightgbm.Booster(model_str=texts[place])
    return Scorer(covered, forest_of([texts[place] for place in covered]), boosters)
