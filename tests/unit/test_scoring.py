"""Scoring with the champion there is, whatever heads have been added since it was trained."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from features.catalog import feature_names
from models.calibration import NONE
from models.heads import head_names
from models.ranker import HeadModel, Ranker
from models.scoring import predicted

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_a_champion_older_than_a_head_serves_on_and_says_so(
    spark: SparkSession, caplog: pytest.LogCaptureFixture
) -> None:
    old = Ranker(feature_names()[:1], (), (HeadModel("long_view", "binary", "", 0.3, NONE),))
    row = (1, 2, [0.0] * len(feature_names()))
    rows = spark.createDataFrame([row], "user_id bigint, video_id bigint, features array<float>")
    weights = dict.fromkeys(head_names(), 1.0)
    with caplog.at_level(logging.WARNING, logger="reelfeed"):
        (got,) = predicted(rows, old, weights).collect()
    assert got.value == pytest.approx(0.3)
    assert got.predictions == pytest.approx([0.3] + [0.0] * (len(head_names()) - 1))
    assert old.model_id in caplog.text
    assert all(name in caplog.text for name in head_names()[1:])
