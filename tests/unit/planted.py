"""A small test part whose truth is known, and scorers planted in it: how well each knows the chance of a long view."""

from __future__ import annotations

import numpy as np

from models.cohort_differences import differences
from models.cohorts import calibrations, cohorts
from models.evaluation import change_figures, head_figures, list_figures
from models.examples import Examples
from models.gate import EVERYONE, Evidence
from models.heads import HEADS, head_labels
from models.scoring_cost import ScoringCost

EVERYBODY = EVERYONE
LABELS = head_labels()
NAMES = ("content__duration", "user_activity__showings_28d", "video_reception__showings_28d")
WEIGHTS = {head.name: float(head.name == "long_view") for head in HEADS}
SMALL = ScoringCost(microseconds=20.0, megabytes=1.0)
USERS, LENGTH = 400, 25
ROWS = USERS * LENGTH

_user = np.repeat(np.arange(USERS), LENGTH)
_about = np.random.default_rng(0)
_features = np.column_stack(
    [_about.choice([4.0, 10.0, 25.0, 100.0], ROWS), _user >= USERS // 8, _about.random(ROWS) > 0.12]
).astype(np.float32)
_tag = np.where(_about.random(ROWS) < 0.02, 9, _about.integers(0, 6, ROWS))


def world(seed: int) -> np.ndarray:
    """Returns the chance (rows,) of a long view, the same in every cohort."""
    return 1 / (1 + np.exp(-np.random.default_rng([1, seed]).normal(-0.5, 1.5, ROWS)))


def rows_of(chance: np.ndarray, seed: int) -> Examples:
    """Returns what users whose chances are these did; nothing but long views ever happens."""
    generator = np.random.default_rng([2, seed])
    labels = np.zeros((ROWS, len(LABELS)), np.float32)
    labels[:, LABELS.index("long_view")] = generator.random(ROWS) < chance
    return Examples(
        features=_features,
        labels=labels,
        user=_user,
        video=np.tile(np.arange(LENGTH), USERS),
        shown_at=np.zeros(ROWS, np.int64),
        snapshot=np.zeros(ROWS, np.int32),
        part=np.full(ROWS, 2, np.int8),
        popularity=generator.random(ROWS),
        weight=np.ones(ROWS, np.float32),
        label_names=LABELS,
    )


GROUPS = cohorts(rows_of(world(0), 0), NAMES, _tag)


def scored(chance: np.ndarray, noise: float, seed: int, noise_of_new_videos: float | None = None) -> np.ndarray:
    """Returns calibrated predictions (rows, heads) of a scorer that sees the logit of `chance` with so much noise."""
    generator = np.random.default_rng([3, seed])
    spread = np.where(GROUPS["new video"], noise if noise_of_new_videos is None else noise_of_new_videos, noise)
    seen = np.log(chance / (1 - chance)) + spread * generator.normal(size=ROWS)
    predictions = np.zeros((ROWS, len(HEADS)))
    for mask in (GROUPS["new video"], ~GROUPS["new video"]):
        order = np.argsort(seen[mask])
        bins = np.array_split(order, 30)
        middle = [np.mean(seen[mask][one]) for one in bins]
        told = np.interp(seen[mask], middle, [np.mean(chance[mask][one]) for one in bins])
        # Beyond the middle of the outer bins it goes on, so that equal predictions stay rare.
        predictions[mask, 0] = told + 1e-6 * seen[mask]
    return predictions


def evidence(
    rows: Examples, challenger: np.ndarray, champion: np.ndarray, seed: int, *, days: int = 1, least_rows: int = 1_000
) -> Evidence:
    """Returns what the evaluation finds of two scorers on `rows`."""
    predictions = {"challenger": challenger, "champion": champion}
    figures = list_figures(rows, predictions, seed) | head_figures(rows, predictions)
    figures |= change_figures(rows, predictions, WEIGHTS, seed)
    return Evidence(
        figures,
        calibrations(rows, challenger, GROUPS),
        differences(rows, challenger, champion, GROUPS, least_rows, seed),
        SMALL,
        days,
    )
