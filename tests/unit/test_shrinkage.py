"""Rates of few impressions lean on their parents', as strongly as the data say."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pyspark.sql import functions as F

from core.lake import spark_schema
from features.catalog import all_groups
from features.group import FeatureGroup
from features.measures import LONG_VIEW_RATE, SHOWN
from features.shrinkage import FEWEST_ENTITIES, STRONGEST, Prior, estimate, expected, sampled, shrunk
from features.tiles import window_sums
from features.window import DECAYED, last

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DAY = date(2026, 1, 5)
GROUP = FeatureGroup(
    name="made_up",
    doc="Videos, without a parent.",
    owner="tests",
    entity=("video_id",),
    windows=last(7),
    features=(SHOWN, LONG_VIEW_RATE),
    prior_strength=25,
    max_age_hours=36,
)
NAME = "long_view_rate_7d"


def sums(spark: SparkSession, showings: list[int], long_views: list[int]) -> DataFrame:
    rows = [(video, n, k, DAY) for video, (n, k) in enumerate(zip(showings, long_views, strict=True))]
    frame = spark.createDataFrame(rows, "video_id bigint, showings_7d bigint, long_views_7d bigint, ds date")
    return expected(frame, GROUP, None, None)


def drawn(spark: SparkSession, strength: float, videos: int = 3000, seed: int = 1) -> DataFrame:
    """Videos whose true rates are Beta distributed around the base, so that `strength` is the right answer."""
    generator = np.random.default_rng(seed)
    rates = generator.beta(LONG_VIEW_RATE.base * strength, (1 - LONG_VIEW_RATE.base) * strength, videos)
    showings = generator.integers(1, 60, videos)
    return sums(spark, showings.tolist(), generator.binomial(showings, rates).tolist())


@pytest.mark.parametrize("strength", [3.0, 20.0, 60.0])
def test_the_strength_that_made_the_data_is_found(spark: SparkSession, strength: float) -> None:
    prior = estimate(drawn(spark, strength), GROUP, [DAY])[DAY][NAME]
    assert prior.estimated
    assert prior.strength == pytest.approx(strength, rel=0.25)


def test_entities_that_do_not_differ_lean_wholly_on_their_parent(spark: SparkSession) -> None:
    generator = np.random.default_rng(2)
    frame = sums(spark, [20] * 500, np.sort(generator.binomial(20, LONG_VIEW_RATE.base, 500)).tolist())
    assert estimate(frame, GROUP, [DAY])[DAY][NAME].strength > 100
    alike = sums(spark, [10] * 500, [3] * 500)
    assert estimate(alike, GROUP, [DAY])[DAY][NAME].strength == STRONGEST


def test_with_too_few_entities_the_declared_strength_serves(spark: SparkSession) -> None:
    few = FEWEST_ENTITIES - 1
    prior = estimate(sums(spark, [10] * few, list(range(1, 10)) * 3 + [1] * (few - 27)), GROUP, [DAY])[DAY][NAME]
    assert (prior.strength, prior.estimated) == (25.0, False)


def test_the_strength_does_not_depend_on_how_rows_lie(spark: SparkSession) -> None:
    frame = drawn(spark, 20.0)
    assert estimate(frame, GROUP, [DAY]) == estimate(frame.orderBy("long_views_7d").repartition(5), GROUP, [DAY])


def test_a_rate_of_nothing_is_its_prior_and_of_much_its_own(spark: SparkSession) -> None:
    frame = sums(spark, [0, 10, 100_000], [0, 10, 100_000])
    priors = {DAY: {NAME: Prior(10.0, True, 3, 0.2, 0.02)}}
    found = {row["video_id"]: row.asDict() for row in shrunk(frame, GROUP, priors).collect()}
    assert found[0][NAME] == pytest.approx(LONG_VIEW_RATE.base)
    assert found[1][NAME] == pytest.approx((10 + 10 * LONG_VIEW_RATE.base) / 20)
    assert found[2][NAME] == pytest.approx(1.0, abs=1e-3)
    assert found[1]["showings_7d"] == pytest.approx(np.log(11))


def test_a_decayed_day_counts_half_of_the_one_a_half_life_later() -> None:
    assert DECAYED.weight(0) == DECAYED.unit
    assert DECAYED.weight(7) * 2 == DECAYED.unit
    assert DECAYED.weight(28) == 0


def test_a_day_has_the_same_strength_alone_and_in_a_range(spark: SparkSession) -> None:
    """Also where the range has a day of far more pairs than the other."""
    group, above = all_groups()["user_tag_affinity"], all_groups()["user_activity"]
    generator = np.random.default_rng(4)
    pairs = [(user, tag, date(2026, 1, 1 + (user >= 300))) for user in range(4_000) for tag in range(5)]
    amounts = generator.integers(0, 9, (len(pairs), len(group.measures))).tolist()
    rows = [(*pair[:2], pair[2], *amount, pair[2]) for pair, amount in zip(pairs, amounts, strict=True)]
    tiles = spark.createDataFrame(rows, spark_schema(group.tiles)).withColumn("showings", F.lit(9).cast("bigint"))
    parents = spark.createDataFrame([], spark_schema(above.snapshot))

    def strengths(days: list[date]) -> dict[str, Prior]:
        arrived = sampled(tiles.where(F.col("ds") <= days[-1]), group)
        sums = expected(window_sums(arrived, group, days), group, above, parents)
        return estimate(sums, group, days)[days[0]]

    first, second = date(2026, 1, 1), date(2026, 1, 2)
    alone = strengths([first])
    assert alone == strengths([first, second])
    assert alone["long_view_rate_28d"].estimated
