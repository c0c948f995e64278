"""How far a candidate is trusted for who named it, and where: weights per source, learned from what came of it.

Of every source two numbers describe a candidate: 1 / √rank, and its score between the last (0) and the first (1) of
that user's list; both 0 where the source did not name it. The blend is their weighted sum, the weights those of a
logistic regression of "the user then watched it for long". What it is worth beside round robin stands in table blends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

RIDGE = 1.0
"""Inverse of scikit-learn's C."""


@dataclass(frozen=True)
class Blend:
    """Weights by source, a pair each: of 1 / √rank and of the relative score. A source without any counts 0."""

    weights: dict[str, tuple[float, float]]

    def matrix(self, names: Sequence[str]) -> np.ndarray:
        """Returns the weights of the sources `names` in the order that `described` has, float64 (2 × sources,)."""
        import numpy as np

        pairs = [self.weights.get(name, (0.0, 0.0)) for name in names]
        return np.asarray([[rank for rank, _ in pairs], [score for _, score in pairs]]).ravel()


def served(rows: Iterable[Mapping[str, Any]]) -> Blend | None:
    """Returns the blend of a recipe's rows of table blends; None where round robin was better, or there are none."""
    weights = {row["source"]: (row["rank_weight"], row["score_weight"]) for row in rows if row["is_served"]}
    return Blend(weights) if weights else None


def relative(scores: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Returns `scores`, lists best first of these `lengths` end to end, scaled so that each runs from 1 to 0.

    A list whose scores are all the same is 1 throughout.
    """
    import numpy as np

    ends = np.cumsum(lengths)
    some = lengths > 0
    first = np.repeat(scores[(ends - lengths)[some]], lengths[some])
    last = np.repeat(scores[ends[some] - 1], lengths[some])
    spread = first - last
    scaled: np.ndarray = np.where(spread > 0, (scores - last) / np.where(spread > 0, spread, 1.0), 1.0)
    return scaled


def fit(ranks: np.ndarray, scores: np.ndarray, watched: np.ndarray, names: Sequence[str]) -> Blend:
    """Returns the blend of candidates: `ranks` (rows, sources), 0 where not named; relative `scores`, alike; `watched`.

    Raises ValueError where no candidate was watched, or all were.
    """
    from sklearn.linear_model import LogisticRegression

    if watched.all() or not watched.any():
        raise ValueError("a blend needs candidates that were watched for long and such that were not")
    model = LogisticRegression(C=1.0 / RIDGE, max_iter=500)
    model.fit(described(ranks, scores), watched)
    by_source = model.coef_[0].reshape(2, len(names))
    return Blend({name: (float(by_source[0, i]), float(by_source[1, i])) for i, name in enumerate(names)})


def described(ranks: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Returns what the blend weighs, float64 (rows, 2 × sources): of all sources 1 / √rank, then the relative score."""
    import numpy as np

    named = ranks > 0
    return np.concatenate([named / np.sqrt(np.where(named, ranks, 1)), np.where(named, scores, 0.0)], axis=1)
