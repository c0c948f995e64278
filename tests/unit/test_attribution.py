"""What a list is worth: counted by hand on three users."""

from __future__ import annotations

import numpy as np
import pytest

from models.attribution import Pairs, gain, means, only, overlap, recall, truth

TRUE = truth(np.array([1, 1, 1, 2, 4, 4]), np.array([10, 11, 11, 10, 12, 99]))
"""User 1 watched 10 and 11, user 2 watched 10, user 4 watched 12 and 99."""


def listed(*rows: tuple[int, list[int]]) -> Pairs:
    user = [user for user, videos in rows for _ in videos]
    video = [video for _, videos in rows for video in videos]
    rank = [place + 1 for _, videos in rows for place in range(len(videos))]
    return Pairs(*(np.asarray(column, dtype=np.int64) for column in (user, video, rank)))


MINE = listed((1, [50, 11, 10]), (3, [10, 12]), (4, [12, 1_000_000]))
OTHER = listed((1, [10]), (2, [10]))


def test_recall_counts_every_user_of_the_truth_once() -> None:
    assert recall(MINE, TRUE, 2).tolist() == [0.5, 0.0, 0.5], "user 2 is not served, user 3 watched nothing"
    assert recall(MINE, TRUE, 3).tolist() == [1.0, 0.0, 0.5]


def test_gain_is_that_of_the_ideal_order_where_the_first_are_right() -> None:
    discount = 1 / np.log2([2, 3, 4])
    expected = [
        (discount[1] + discount[2]) / (discount[0] + discount[1]),
        0.0,
        discount[0] / (discount[0] + discount[1]),
    ]
    assert gain(MINE, TRUE).tolist() == pytest.approx(expected)


def test_only_is_what_no_other_list_named_and_overlap_what_both_did() -> None:
    lists = {"mine": MINE, "other": OTHER}
    assert only(lists, "mine", TRUE).tolist() == [0.5, 0.0, 0.5], "10 of user 1 is in the other list too"
    assert only(lists, "other", TRUE).tolist() == [0.0, 1.0, 0.0]
    assert overlap(OTHER, MINE) == 0.5
    assert overlap(MINE, OTHER) == pytest.approx(1 / 7)
    assert overlap(listed(), MINE) == 0.0


def test_intervals_of_a_difference_are_paired() -> None:
    draw = np.random.default_rng(0)
    base = draw.random(500)
    found = means({"a": base, "b": base - 0.1, "a_minus_b": np.full(500, 0.1)}, seed=1)
    assert found["a"].value == pytest.approx(base.mean())
    assert (found["a_minus_b"].low, found["a_minus_b"].high) == (pytest.approx(0.1), pytest.approx(0.1))


def test_without_a_long_view_there_is_nothing_to_measure_by() -> None:
    with pytest.raises(ValueError, match="nothing to measure"):
        truth(np.array([], dtype=np.int64), np.array([], dtype=np.int64))
