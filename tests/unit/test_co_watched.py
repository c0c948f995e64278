"""What co_watched calls similar: met by the same people, however many others met it too."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csc_array

from models.sources.co_watched import DAMPING, nearest

VIDEOS = np.array([10, 20, 30, 40])
MET = np.array(  # users by videos
    [
        [1, 1, 1, 0],
        [1, 1, 0, 0],
        [0, 1, 1, 0],
        [0, 1, 0, 0],
        [0, 0, 0, 1],
    ]
)


def similar(may_show: list[bool]) -> dict[tuple[int, int], float]:
    matrix = csc_array(MET.astype(float))
    weight = matrix.sum(axis=0) ** -DAMPING
    found = nearest(np.arange(4), matrix, weight, np.array(may_show), VIDEOS).to_pydict()
    return dict(zip(zip(found["entity_id"], found["video_id"], strict=True), found["score"], strict=True))


def test_similarity_is_users_in_common_and_the_popular_are_not_punished() -> None:
    found = similar([True] * 4)
    assert found[10, 20] == pytest.approx(2 / 2**DAMPING)
    assert found[10, 30] == pytest.approx(1 / 2**DAMPING)
    assert found[20, 10] == pytest.approx(2 / 4**DAMPING), "who is met by many says less"
    assert found[10, 20] > found[10, 30], "20 is met by more people than 30, by the same ones too"
    assert not [pair for pair in found if 40 in pair], "nobody met 40 and another"
    assert not [pair for pair in found if pair[0] == pair[1]]


def test_what_may_not_be_shown_is_named_by_none_but_names_others() -> None:
    found = similar([True, False, True, True])
    assert (10, 20) not in found
    assert (20, 10) in found
