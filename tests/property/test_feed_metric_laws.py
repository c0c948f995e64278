"""Feed metrics equal their definitions, pair by pair and video by video, and keep their bounds."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.feed_metrics import coverage, diversity, gini, means, per_user, tag_vectors, unit_rows

exposures = st.lists(st.integers(0, 1000), min_size=1, max_size=50)
some_exposures = exposures.filter(any)
Feeds = list[list[int]]
Tags = list[list[int]]


@given(st.integers(1, 50), st.integers(1, 1000))
def test_equal_exposure_has_gini_zero_and_covers_all(videos: int, slots: int) -> None:
    assert gini(np.full(videos, slots)) == pytest.approx(0, abs=1e-12)
    assert coverage(np.full(videos, slots)) == 1


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_one_video_with_everything_has_the_largest_gini_and_smallest_coverage(videos: int, slots: int) -> None:
    alone = np.zeros(videos, np.int64)
    alone[0] = slots
    assert gini(alone) == pytest.approx(1 - 1 / videos, abs=1e-12)
    assert coverage(alone) == pytest.approx(1 / videos)


@given(some_exposures, st.randoms(use_true_random=False), st.integers(1, 9))
def test_gini_is_the_mean_difference_of_pairs_whatever_the_order_and_the_scale(
    counts: list[int], random: object, scale: int
) -> None:
    x = np.array(counts)
    by_pairs = np.abs(x[:, None] - x[None, :]).sum() / (2 * len(x) * x.sum())
    assert gini(x) == pytest.approx(by_pairs, abs=1e-12)
    shuffled = counts.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert gini(np.array(shuffled) * scale) == pytest.approx(gini(x), abs=1e-12)
    assert 0 <= gini(x) <= 1 - 1 / len(x) + 1e-12


@given(some_exposures)
def test_a_slot_taken_from_the_richest_for_the_poorest_never_raises_gini(counts: list[int]) -> None:
    x = np.array(counts)
    if x.max() - x.min() < 2:
        return
    moved = x.copy()
    moved[x.argmax()] -= 1
    moved[x.argmin()] += 1
    assert gini(moved) < gini(x)


@given(exposures)
def test_coverage_is_a_share_of_the_catalogue(counts: list[int]) -> None:
    assert coverage(np.array(counts)) == pytest.approx(sum(count > 0 for count in counts) / len(counts))


def test_what_nobody_is_shown_has_no_gini() -> None:
    assert np.isnan(gini(np.zeros(3, np.int64)))
    assert np.isnan(coverage(np.zeros(0, np.int64)))


@st.composite
def feeds_and_tags(draw: st.DrawFn) -> tuple[Feeds, Tags]:
    """Feeds of some of a few videos, and the tags of these, some without any, some given twice."""
    tags = draw(st.lists(st.lists(st.integers(0, 4), max_size=4), min_size=1, max_size=6))
    one = st.lists(st.sampled_from(range(len(tags))), unique=True)
    return draw(st.lists(one, min_size=1, max_size=5)), tags


def distance(a: set[int], b: set[int]) -> float:
    return 1 - len(a & b) / np.sqrt(len(a) * len(b))


@given(feeds_and_tags())
def test_diversity_is_the_mean_distance_of_pairs(drawn: tuple[Feeds, Tags]) -> None:
    feeds, tags = drawn
    user = np.repeat(np.arange(len(feeds)), [len(feed) for feed in feeds])
    video = np.array([one for feed in feeds for one in feed], np.int64)
    flat = np.array([tag for of_one in tags for tag in of_one], np.int64)
    vectors = unit_rows(tag_vectors(flat, np.array([len(of_one) for of_one in tags])))
    seen = diversity(user, video, vectors, len(feeds))
    for place, feed in enumerate(feeds):
        sets = [set(tags[one]) for one in feed if tags[one]]
        by_pairs = [distance(a, b) for a, b in combinations(sets, 2)]
        assert seen[place] == pytest.approx(np.mean(by_pairs) if by_pairs else np.nan, abs=1e-9, nan_ok=True)


@given(st.lists(st.tuples(st.integers(0, 3), st.one_of(st.floats(-9, 9), st.just(np.nan))), max_size=30))
def test_means_are_of_users_and_leave_out_what_has_no_value(slots: list[tuple[int, float]]) -> None:
    user, value = np.array([u for u, _ in slots], np.int64), np.array([v for _, v in slots], np.float64)
    each = per_user(user, value, 4)
    there = {u: [v for w, v in slots if w == u and not np.isnan(v)] for u in range(4)}
    expected = [np.mean(values) for values in there.values() if values]
    found = means({"metric": each}, {"all": np.ones(4, np.bool_)}, seed=1)
    if not expected:
        assert found == {}
        return
    figure = found["metric", "all"]
    assert figure.value == pytest.approx(np.mean(expected), abs=1e-9)
    assert figure.low is not None
    assert figure.high is not None
    assert min(expected) - 1e-9 <= figure.low <= figure.high <= max(expected) + 1e-9
