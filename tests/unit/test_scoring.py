"""Scoring with the champion there is, whatever heads have been added since it was trained."""

from __future__ import annotations

import logging
from datetime import date
from typing import TYPE_CHECKING

import pytest

from features.catalog import feature_names
from models.calibration import NONE
from models.heads import head_names
from models.ranker import HeadModel, Ranker
from models.scoring import predicted
from models.varied import UserWeights

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


DS = date(2026, 1, 5)


def test_a_champion_older_than_a_head_serves_on_and_says_so(
    spark: SparkSession, caplog: pytest.LogCaptureFixture
) -> None:
    old = Ranker(feature_names()[:1], (), (HeadModel("long_view", "binary", "", 0.3, NONE),))
    row = (1, 2, [0.0] * len(feature_names()))
    rows = spark.createDataFrame([row], "user_id bigint, video_id bigint, features array<float>")
    weights = UserWeights(dict.fromkeys(head_names(), 1.0), {}, "0a", DS)
    with caplog.at_level(logging.WARNING, logger="reelfeed"):
        (got,) = predicted(rows, old, weights).collect()
    assert got.value == pytest.approx(0.3)
    assert got.predictions == pytest.approx([0.3] + [0.0] * (len(head_names()) - 1))
    assert got.weights is None, "those of the recipe"
    assert old.model_id in caplog.text
    assert all(name in caplog.text for name in head_names()[1:])


def test_weights_that_were_drawn_for_a_user_stand_beside_the_value_that_they_made(spark: SparkSession) -> None:
    ranker = Ranker(feature_names()[:1], (), (HeadModel("long_view", "binary", "", 0.3, NONE),))
    users = [1, 2, 1]
    data = [(user, video, [0.0] * len(feature_names())) for video, user in enumerate(users)]
    rows = spark.createDataFrame(data, "user_id bigint, video_id bigint, features array<float>")
    weights = UserWeights(dict.fromkeys(head_names(), 1.0), {"long_view": 0.5, "like": 0.1}, "0a", DS)
    first, second, third = predicted(rows.coalesce(1), ranker, weights).orderBy("video_id").collect()
    assert first.weights == third.weights
    assert first.weights != second.weights
    for row in (first, second):
        assert row.value == pytest.approx(sum(p * w for p, w in zip(row.predictions, row.weights, strict=True)))
        drawn = dict(zip(head_names(), row.weights, strict=True))
        assert drawn["long_view"] == pytest.approx(1.0, abs=0.5)
        assert drawn["like"] == pytest.approx(1.0, abs=0.1)
        assert {weight for head, weight in drawn.items() if head not in weights.varied} == {1.0}
