"""What the two towers learn: tastes, popularity, and what to make of strangers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from models import towers
from models.sources.two_tower import arrays
from models.tower_inputs import Features, Met, Plan
from models.towers import Towers

USERS, VIDEOS, EACH, DAYS, NEW = 300, 200, 20, 10, (198, 199)
"""Users and videos of two tastes, even and odd; impressions of a user; days; a video of each taste nobody has met."""
PLAN = Plan(dimensions=8, negatives=64, rarely=(5, 5))
NO_ONE, BY_TASTE = USERS, np.arange(VIDEOS) % 2


def impressions(seed: int = 3) -> pa.Table:
    """Returns what users met: videos of their own taste, those of low number more often."""
    draw = np.random.default_rng(seed)
    places = np.arange((VIDEOS - len(NEW)) // 2)
    popularity = 1.0 / (places + 10.0)
    rows = [
        (user, 2 * int(place) + user % 2, step)
        for user in range(USERS)
        for step, place in enumerate(draw.choice(places, EACH, replace=False, p=popularity / popularity.sum()))
    ]
    user, video, step = (np.array(column) for column in zip(*rows, strict=True))
    day = step * DAYS // EACH
    return pa.table(
        {
            "user_id": user,
            "video_id": video,
            "at": step * 1_000 + user,
            "day": day,
            "is_long_view": draw.random(len(user)) < 0.5,
            "is_not_interested": draw.random(len(user)) < 0.02,
        }
    )


def learned_from(table: pa.Table) -> tuple[Met, Features]:
    """Returns the arrays of `table`, in which a video's words are its taste, and an author like no other's."""
    users = pa.table({"user_id": np.arange(USERS + 1), "activity": ["full"] * USERS + ["new"]})
    words = [[f"tag {taste}", f"author {video}"] for video, taste in enumerate(BY_TASTE)]
    videos = pa.table({"video_id": np.arange(VIDEOS), "words": words, "uploaded": pa.array([0] * VIDEOS, pa.int32())})
    _, _, met, features = arrays(table, users, videos)
    return met, features


def fitted(table: pa.Table, seed: int = 7) -> Towers:
    towers_of_it = towers.fit(*learned_from(table), tomorrow=DAYS, seed=seed, plan=PLAN)
    assert towers_of_it is not None
    return towers_of_it


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return impressions()


@pytest.fixture(scope="module")
def learned(table: pa.Table) -> Towers:
    return fitted(table)


def test_users_are_given_their_own_taste_and_popularity_is_beaten(table: pa.Table, learned: Towers) -> None:
    scores = learned.users[:USERS] @ learned.videos.T
    user, video = table["user_id"].to_numpy(), table["video_id"].to_numpy()
    scores[user, video] = -np.inf
    best = np.argsort(-scores, axis=1)[:, :20]
    own = (best % 2 == np.arange(USERS)[:, None] % 2).mean()
    assert own > 0.95, "popularity would have .5"
    recalls = [epoch.recall for epoch in learned.epochs]
    assert all(epoch.examples > 0 and np.isfinite(epoch.loss) for epoch in learned.epochs)
    assert len(recalls) - 1 - int(np.argmax(recalls)) <= PLAN.patience, "it went on after no epoch was better"


def test_what_is_met_more_often_scores_higher_for_anyone(table: pa.Table, learned: Towers) -> None:
    counts = np.bincount(table["video_id"].to_numpy(), minlength=VIDEOS)
    scores = (learned.anyone @ learned.videos.T)[0]
    for taste in (0, 1):
        of_taste = np.flatnonzero((taste == BY_TASTE) & (counts > 0))
        alike = np.corrcoef(scores[of_taste], np.log(counts[of_taste]))[0, 1]
        assert alike > 0.7, "corrected by logQ the softmax is of p(video), not of p(video) / q(video)"


def test_a_score_is_corrected_by_how_often_its_video_is_among_those_compared() -> None:
    plan = replace(PLAN, batch=4, negatives=3)
    draw = np.random.default_rng(0)
    counts = np.array([5, 3, 0, 1, 1])
    batches = draw.choice(len(counts), (100_000, plan.batch), p=counts / counts.sum())
    others = draw.integers(0, len(counts), (100_000, plan.negatives))
    held = np.bincount(np.concatenate([batches, others], axis=1).ravel(), minlength=len(counts)) / 100_000
    assert np.exp(towers.log_expected(counts, plan)) == pytest.approx(held, rel=0.02)


def test_same_seed_same_vectors_whatever_the_order_of_rows(table: pa.Table, learned: Towers) -> None:
    shuffled = table.take(np.random.default_rng(1).permutation(table.num_rows))
    again, other = fitted(shuffled), fitted(table, seed=8)
    for name in ("users", "videos", "anyone"):
        assert np.array_equal(getattr(learned, name), getattr(again, name)), name
    assert not np.array_equal(learned.users, other.users)


def test_a_video_nobody_has_met_goes_to_those_who_like_its_like(learned: Towers) -> None:
    scores = learned.users[:USERS] @ learned.videos[list(NEW)].T
    assert np.isfinite(scores).all()
    even, odd = scores[0::2], scores[1::2]
    assert (even[:, 0] > even[:, 1]).mean() > 0.9
    assert (odd[:, 1] > odd[:, 0]).mean() > 0.9


def test_a_user_without_history_is_anyone_but_for_the_activity_class(learned: Towers) -> None:
    assert learned.anyone.shape == (1, PLAN.dimensions + 1)
    assert learned.users.shape == (USERS + 1, PLAN.dimensions + 1)
    assert learned.videos.shape == (VIDEOS, PLAN.dimensions + 1)
    for array in (learned.anyone, learned.users, learned.videos):
        assert array.dtype == np.float32
        assert np.isfinite(array).all()
    known = [np.linalg.norm(learned.users[user] - learned.anyone[0]) for user in (NO_ONE, 0, 1)]
    assert known[0] < min(known[1:])


def test_too_little_to_learn_from_is_nothing(table: pa.Table) -> None:
    assert towers.fit(*learned_from(table.slice(0, 10)), tomorrow=DAYS, seed=7) is None
    assert towers.fit(*learned_from(table.slice(0, 0)), tomorrow=DAYS, seed=7) is None
