"""Rankers fitted anew on published training examples, for what is measured over several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from core.lake import Lake
from core.settings import Settings
from core.tables.training_examples import TABLE as TRAINING_EXAMPLES
from features.catalog import categorical_names, feature_names, neutral_values
from models.gate import HEAD
from models.heads import HEADS, head_labels

if TYPE_CHECKING:
    import numpy as np

    from models.examples import Examples
    from models.heads import Head
    from models.metrics import ListSums
    from models.ranker import Ranker


def parts(settings: Settings, ds: date) -> tuple[Examples, Examples]:
    """Returns the rows of `ds` to fit on, and those to judge with what a feed would have known of them."""
    from jobs.train_ranker import COLUMNS
    from models.examples import at_scoring, examples

    table = Lake(settings.lake).read_arrow(TRAINING_EXAMPLES, [ds], COLUMNS)
    width = len(feature_names())
    train = examples(table, ("train", "validate"), width, head_labels())
    test = examples(table, ("test",), width, head_labels())
    return train, replace(test, features=at_scoring(test.features, neutral_values()))


def refit(
    settings: Settings,
    train: Examples,
    columns: Sequence[str],
    seed: int,
    head: Head | None = None,
) -> Ranker:
    """Returns a ranker of one `head`, by default long_view; the features of `train` are `columns`, in order."""
    from models.ranker_training import fit

    neutral = {feature_names()[place]: value for place, value in neutral_values().items()}
    head = head or next(each for each in HEADS if each.name == HEAD)
    ranker, _ = fit(
        train,
        features=tuple(columns),
        categorical=tuple(name for name in categorical_names() if name in columns),
        heads=(head,),
        neutral={place: neutral[name] for place, name in enumerate(columns) if name in neutral},
        seed=seed,
        threads=settings.threads,
    )
    return ranker


def mean_sums(found: Sequence[ListSums]) -> ListSums:
    """Returns each user's sums, averaged over `found`, which are of the same users."""
    import numpy as np

    from models.metrics import ListSums

    return ListSums(*[np.mean([getattr(each, name) for each in found], axis=0) for name in vars(found[0])])


def long_views(rows: Examples) -> np.ndarray:
    """Returns whether each row was watched for long, float64 (rows,), 0 or 1."""
    import numpy as np

    labels: np.ndarray = rows.label(HEAD).astype(np.float64)
    return labels
