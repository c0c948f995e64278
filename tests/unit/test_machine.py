"""What is published of the factorisation machine says of a showing what the machine itself says."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from core.tables.machine_factors import PARTS, RANK
from features.duration_buckets import UNKNOWN
from models.factorisation import Plan, fit
from models.machine import FIELDS, NO_TAG, OF_VIDEO, Factors, factors, fields

DRAW = np.random.default_rng(4)
VIDEOS = np.column_stack([np.arange(40), DRAW.integers(0, 9, 40), DRAW.integers(-1, 4, 40), DRAW.integers(0, 5, 40)])
"""Of each video id, author, tag and bucket of length, as OF_VIDEO."""
SHOWN, LEARNT = 4_000, 30
"""Showings, all of the first so many videos."""


@pytest.fixture(scope="module")
def shown() -> np.ndarray:
    """Fields of showings, as FIELDS."""
    user, video, surface = DRAW.integers(0, 50, SHOWN), DRAW.integers(0, LEARNT, SHOWN), DRAW.integers(0, 3, SHOWN)
    made: np.ndarray = np.column_stack([user, VIDEOS[video, :3], surface, VIDEOS[video, 3]])
    return made


def of_parts(found: Factors, asked: dict[str, int]) -> float:
    """Log odds as table machine_factors documents them."""
    rows = [np.flatnonzero((found.part == part) & (found.entity == asked[part])) for part in PARTS]
    there = np.concatenate(rows)
    pairs = (found.vector[there].sum(axis=0) ** 2).sum() - found.square[there].sum()
    return float(found.bias[there].sum() + pairs / 2)


def test_its_parts_add_up_to_the_machine(shown: np.ndarray) -> None:
    machine = fit(shown, DRAW.integers(0, 2, SHOWN).astype(float), 3, Plan(RANK, sweeps=4))
    found = factors(machine, VIDEOS)
    assert FIELDS[:5] == ("user_id", *OF_VIDEO[:3], "surface")
    stranger, unshown = 99, LEARNT + 5
    for user, video, surface in [(3, 7, 1), (3, 12, 2), (stranger, 7, 0), (4, unshown, 1), (stranger, unshown, 2)]:
        row = np.array([[user, *VIDEOS[video, :3], surface, VIDEOS[video, 3]]])
        parts = of_parts(found, {"user": user, "video": video, "surface": surface})
        assert parts == pytest.approx(machine.log_odds(row)[0], abs=1e-9)


def test_what_a_video_lacks_is_a_value_of_its_own() -> None:
    rows = pa.table(
        {
            "video_id": pa.array([5, 6], pa.int64()),
            "author_id": pa.array([1, 1], pa.int64()),
            "tag_id": pa.array([None, 2], pa.int32()),
            "duration_ms": pa.array([None, 9_000], pa.int64()),
        }
    )
    assert fields(rows, OF_VIDEO).tolist() == [[5, 1, NO_TAG, UNKNOWN], [6, 1, 2, 2]]
