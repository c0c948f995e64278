"""The tables of how logged impressions are ordered."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import ContractError
from features.catalog import feature_names
from models.metrics import ListSums, list_sums
from reelfeed.bench_ranking import on_surface
from reelfeed.ranking_tables import ONE_SURFACE, OURS, tables
from reelfeed.refits import mean_sums

USERS = np.repeat(np.arange(40), 6)
VIDEOS = np.arange(len(USERS))
LABELS = np.tile([1.0, 0.0, 0.0, 1.0, 0.0, 0.0], 40)


def sums(scores: np.ndarray) -> ListSums:
    return list_sums(USERS, VIDEOS, LABELS, scores)


def test_better_systems_stand_first_and_are_paired_with_ours() -> None:
    noise = np.random.default_rng(5).random(len(USERS))
    systems = {
        "random": sums(noise),
        "popularity": sums(LABELS + 3 * noise),
        OURS: sums(LABELS + 1.2 * noise),
        ONE_SURFACE: sums(LABELS + 2 * noise),
        "oracle": sums(LABELS),
        "placebo": sums(1 - noise),
        "peer x": sums(LABELS + 1.4 * noise),
    }
    text = tables(systems, len(USERS), range(3, 5))
    assert text.startswith("240 impressions of 40 users; means over seeds [3, 4]; ")
    lines = text.splitlines()
    assert lines[4].startswith("| oracle | 1.0000 [1.0000, 1.0000] |")
    assert lines[5].startswith(f"| {OURS} |")
    differences = [line.split(" | ")[0].removeprefix("| ") for line in lines if " − " in line]
    others = ["random", "popularity", ONE_SURFACE, "peer x"]
    assert differences == [*[f"{OURS} − {other}" for other in others], f"{ONE_SURFACE} − popularity"]
    assert all(" +0." in line for line in lines if line.startswith(f"| {OURS} − random"))


def test_sums_of_seeds_are_averaged_user_by_user() -> None:
    right, wrong = sums(LABELS), sums(-LABELS)
    mean = mean_sums([right, wrong])
    assert mean.ordered == pytest.approx((right.ordered + wrong.ordered) / 2)
    assert mean.positives == pytest.approx(right.positives)


def test_as_on_one_surface_changes_what_hangs_on_the_surface_alone() -> None:
    names = feature_names()
    rows = np.arange(3 * len(names), dtype=np.float32).reshape(3, -1)
    code = names.index("surface__code")
    rows[:, code] = [4, 1, 4]
    moved = on_surface(rows, 1)
    about = [name.startswith(("surface__", "surface_reception__")) for name in names]
    assert sum(about) > 1
    assert (moved[:, about] == rows[1, about]).all()
    machine = [name.startswith("machine__") for name in names]
    assert np.isnan(moved[:, machine]).all(), "what hangs on user, video and surface at once is not known"
    others = np.logical_not(np.logical_or(about, machine))
    assert (moved[:, others] == rows[:, others]).all()
    assert rows[0, code] == 4


def test_a_surface_that_nothing_was_shown_on_is_named() -> None:
    with pytest.raises(ContractError, match="surface 9"):
        on_surface(np.zeros((2, len(feature_names())), np.float32), 9)
