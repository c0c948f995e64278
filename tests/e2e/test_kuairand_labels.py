"""On KuaiRand's real rows: the share of positives depends less on video length when the watch label is debiased.

`pytest -s` prints the table that docs/labels.md shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from kuairand import needs_kuairand

from core.lake import Lake
from core.settings import Settings
from core.tables.impressions import TABLE as IMPRESSIONS
from jobs.build_training_set import dated, split_days
from models.watch_quantile import DurationRates, percentiles, rates_by_duration, watch_counts, with_percentile

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from pyspark.sql import SparkSession

pytestmark = needs_kuairand


@pytest.fixture(scope="module")
def rows(spark: SparkSession, kuairand: Settings) -> pd.DataFrame:
    """Train 26 to 30 April, validate 1 and 2 May, test 3 and 4 May; percentiles are of the train part."""
    lake = Lake(kuairand.lake)
    days = lake.days(IMPRESSIONS)
    split = split_days(days, kuairand.split)
    impressions = lake.read(spark, IMPRESSIONS, days)
    in_parts = dated(impressions, split, kuairand.publish_hour, kuairand.split.embargo_hours)
    labelled = with_percentile(in_parts, percentiles(watch_counts(in_parts)))
    return labelled.select("part", "video_id", "duration_ms", "is_long_view", "watch_percentile").toPandas()


def chance_spread(chosen: pd.DataFrame, positive: NDArray[np.bool_], found: DurationRates) -> NDArray[np.float64]:
    """Returns the spreads that chance gives where length has no influence: bootstrap over videos, 1,000 replicates.

    Rows of one video are alike, so that a decile's rate moves with the few videos that it happens to hold.
    """
    decile = np.searchsorted(found.longest_ms, chosen["duration_ms"].to_numpy(np.float64))
    video = np.unique(chosen["video_id"], return_inverse=True)[1]
    rows, excess = np.zeros((2, video.max() + 1, len(found.rows)))
    np.add.at(rows, (video, decile), 1.0)
    np.add.at(excess, (video, decile), positive - found.debiased[decile])
    generator = np.random.default_rng(1)
    drawn = (generator.multinomial(len(rows), np.full(len(rows), 1 / len(rows))) for _ in range(1_000))
    return np.array([np.ptp((times @ excess) / (times @ rows)) for times in drawn])


@pytest.mark.parametrize("parts", [("train",), ("validate", "test")], ids=" and ".join)
def test_positive_rates_by_duration_flatten_down_to_chance(rows: pd.DataFrame, parts: tuple[str, ...]) -> None:
    chosen = rows[rows["part"].isin(parts) & rows["duration_ms"].notna()]
    percentile = chosen["watch_percentile"].to_numpy(np.float64)
    found = rates_by_duration(chosen["duration_ms"].to_numpy(np.float64), chosen["is_long_view"].to_numpy(), percentile)
    raw, debiased = found.spread
    chance = np.quantile(chance_spread(chosen, percentile >= found.threshold, found), [0.025, 0.5, 0.975])
    print(f"\n{' and '.join(parts)}: {found.rows.sum():,} rows, threshold {found.threshold:.4f}")
    for decile in range(len(found.rows)):
        longest, count = found.longest_ms[decile] / 1000, found.rows[decile]
        print(f"| {longest:.1f} | {count:,} | {found.long_view[decile]:.3f} | {found.debiased[decile]:.3f} |")
    print(f"spread {raw:.4f} and {debiased:.4f}, by chance {chance.round(4)}")
    print(f"standard deviation {found.long_view.std():.4f} and {found.debiased.std():.4f}")
    total = (found.rows * found.long_view).sum(), (found.rows * found.debiased).sum()
    assert total[1] == pytest.approx(total[0], rel=0.01)
    assert found.debiased.std() < 0.7 * found.long_view.std()
    assert debiased < 0.7 * raw
    assert debiased < chance[2] < raw


def test_the_train_part_means_one_half_and_unknown_lengths_have_a_label(rows: pd.DataFrame) -> None:
    train = rows[rows["part"] == "train"]
    assert rows["watch_percentile"].between(0, 1).all()
    assert train["watch_percentile"].mean() == pytest.approx(0.5, abs=1e-9)
    assert train["watch_percentile"][train["duration_ms"].isna()].mean() == pytest.approx(0.5, abs=1e-9)
