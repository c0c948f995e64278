"""The pre-ranker: what it cuts, what it must not cut, and what it says that cost."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

import numpy as np
import pytest

from models.prerank import cost, cut, taught

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROWS = "user_id bigint, video_id bigint, is_kept boolean, few array<float>"


def test_the_best_by_the_guess_go_on_and_what_is_kept_always_does(spark: SparkSession) -> None:
    draw = np.random.default_rng(0)
    few = draw.random((4000, 3)).astype(np.float32)
    model = taught(few, 5.0 * few[:, 1], seed=1, threads=1)
    rows = [
        (user, video, video == 7, [0.5, video / 10, 0.5]) for user in (1, 2) for video in range(10) if video != user
    ]
    went = cut(spark.createDataFrame(rows, ROWS), model, 4).collect()
    by_user = {user: {row["video_id"] for row in went if row["user_id"] == user} for user in (1, 2)}
    assert by_user == {1: {7, 9, 8, 6}, 2: {7, 9, 8, 6}}
    low = [(1, video, video == 0, [0.5, video / 10, 0.5]) for video in range(10)]
    assert {row["video_id"] for row in cut(spark.createDataFrame(low, ROWS), model, 3).collect()} == {0, 9, 8}


def test_without_a_lesson_the_merged_order_decides(spark: SparkSession) -> None:
    rows = [(1, video, False, [float(10 - video)]) for video in range(10)]
    went = cut(spark.createDataFrame(rows, ROWS), "", 3).collect()
    assert {row["video_id"] for row in went} == {9, 8, 7}, "the first number is the rank"


def test_the_same_lesson_teaches_the_same() -> None:
    draw = np.random.default_rng(2)
    few, value = draw.random((500, 4)).astype(np.float32), draw.random(500)
    assert taught(few, value, 3, threads=2) == taught(few, value, 3, threads=2)


def test_the_cost_is_the_best_feed_that_is_left_over_the_best_there_was() -> None:
    user = np.array([1, 1, 1, 1, 2, 2])
    value = np.array([4.0, 3.0, 2.0, 1.0, 6.0, 1.0])
    goes_on = np.array([True, False, True, True, False, True])
    found = cost(user, value, goes_on, length=2)
    assert (found.users, found.candidates, found.scored) == (2, 3.0, 2.0)
    assert found.value_kept == pytest.approx((4 + 2 + 1) / (4 + 3 + 6 + 1))
    assert found.top_kept == pytest.approx(2 / 4)
    assert isnan(cost(user[:0], value[:0], goes_on[:0], length=2).value_kept)
