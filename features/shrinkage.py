"""How far to trust a rate of few impressions: credibility weights whose strength the data themselves tell.

Bühlmann and Straub (1970): entity i has n_i impressions and mean r_i, expected m_i (its parent's rate). With the
variance v within an entity and τ² of entities around their parents, the best linear estimate of an entity's true mean
is (n_i r_i + k m_i) / (n_i + k) with k = v / τ². Moments, over entities:

    v  = Σ (q_i - n_i r_i²) / Σ (n_i - 1)             q_i: sum of squares; entities with n_i > 1
    τ² = (Σ n_i (r_i - m_i)² - N v) / Σ n_i           entities with n_i ≥ 1, N of them

In a decayed window n_i is the sum of weights, for which v and τ² hold approximately.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from features.group import FeatureGroup, Measure, Rate, Value, column_name
from features.window import Window

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    from pyspark.sql import Column, DataFrame

WEAKEST, STRONGEST = 0.5, 10_000.0
"""Bounds of an estimated strength, in impressions."""

FEWEST_ENTITIES = 30
"""With fewer entities the declared strength serves."""

ONE_PAIR_IN = 8
"""Of pairs, of which there are more than of anything, one in so many is looked at to estimate a strength."""

FIXED_POINT = 1 << 20
"""Moments are summed as whole numbers of 1 / FIXED_POINT, so that no order of rows changes a strength."""

EXPECTED = "expected__"
"""Prefix of the column that holds an entity's expected rate, its parent's."""


@dataclass(frozen=True)
class Prior:
    """How a rate is shrunk: by `strength` impressions of its parent's rate; `estimated`, or declared by its group.

    `entities` is N, `within` v and `between` τ² of the formula.
    """

    strength: float
    estimated: bool
    entities: int
    within: float
    between: float


def expected(sums: DataFrame, group: FeatureGroup, parent: FeatureGroup | None, above: DataFrame | None) -> DataFrame:
    """Returns `sums` with the expected value of every rate, from `above`, the snapshots of `parent`; else its base."""
    from pyspark.sql import functions as F

    names = {column_name(rate.name, window): rate.base for rate in group.rates for window in group.windows}
    if parent is None or above is None:
        return sums.select("*", *[F.lit(base).alias(EXPECTED + name) for name, base in names.items()])
    upper = above.select(*parent.entity, "ds", *[F.col(name).alias(EXPECTED + name) for name in names])
    joined = sums.join(upper, on=[*parent.entity, "ds"], how="left")
    filled = {EXPECTED + name: F.coalesce(EXPECTED + name, F.lit(base)) for name, base in names.items()}
    return joined.withColumns(filled)


def sampled(tiles: DataFrame, group: FeatureGroup) -> DataFrame:
    """Returns the `tiles` that a strength is estimated from: all, or of pairs one in ONE_PAIR_IN, drawn by hash.

    Nothing about the run enters the draw, so that a range of days and its days one by one give the same strengths.
    """
    from pyspark.sql import functions as F

    if len(group.entity) < 2:
        return tiles
    return tiles.where(F.pmod(F.xxhash64(F.lit("prior"), *group.entity), F.lit(ONE_PAIR_IN)) == 0)


def estimate(sums: DataFrame, group: FeatureGroup, days: Sequence[date]) -> dict[date, dict[str, Prior]]:
    """Returns for each of `days` the prior of each rate and window, by column name, from `sums` with expected values.

    A day of which `sums` has no row, as may be with a sample of few pairs, gets the declared strengths.
    """
    columns = [(rate, window) for rate in group.rates for window in group.windows]

    def partial(batches: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        import numpy as np
        import pyarrow as pa

        for batch in batches:
            days = batch.column("ds").cast(pa.int32()).to_numpy()
            for day in np.unique(days):
                of_day = batch.filter(pa.array(days == day))
                found = [part for rate, window in columns for part in _moments(of_day, rate, window)]
                yield pa.RecordBatch.from_arrays(
                    [pa.array([day], pa.int32()).cast(pa.date32()), pa.array([found], pa.list_(pa.int64()))],
                    names=["ds", "moments"],
                )

    # A hundred and more sums over as many expressions: in numpy a moment's work, in Spark SQL mostly compiling.
    parts = sums.mapInArrow(partial, "ds date, moments array<bigint>").collect()
    width = len(MOMENTS)
    totals = {day: [0] * width * len(columns) for day in days}
    for part in parts:
        totals[part["ds"]] = [a + b for a, b in zip(totals[part["ds"]], part["moments"], strict=True)]
    return {
        day: {
            column_name(rate.name, window): _prior(found[i * width : (i + 1) * width], group.prior_strength)
            for i, (rate, window) in enumerate(columns)
        }
        for day, found in sorted(totals.items())
    }


MOMENTS = ("entities", "weight", "spread", "squares", "degrees")


def _moments(batch: pyarrow.RecordBatch, rate: Rate, window: Window) -> list[int]:
    """Returns the MOMENTS of one rate in one window over the entities of `batch`, in fixed point."""
    import numpy as np

    def amount(measure: Measure) -> np.ndarray:
        units: np.ndarray = batch.column(column_name(measure.name, window)).to_numpy()
        return units / (rate.scale * window.unit)

    n, top, squares = amount(rate.bottom), amount(rate.top), amount(rate.squares or rate.top)
    mean = top / np.where(n > 0, n, 1.0)
    above = batch.column(EXPECTED + column_name(rate.name, window)).to_numpy()
    one, many = n >= 1, n > 1
    parts = (one, n * one, n * (mean - above) ** 2 * one, (squares - top * mean) * many, (n - 1) * many)
    return [int(np.rint(part * FIXED_POINT).astype(np.int64).sum()) for part in parts]


def _prior(moments: Sequence[int], declared: float) -> Prior:
    entities, weight, spread, squares, degrees = (moment / FIXED_POINT for moment in moments)
    within = squares / degrees if degrees > 0 else 0.0
    between = max((spread - entities * within) / weight, 0.0) if weight > 0 else 0.0
    if entities < FEWEST_ENTITIES or within <= 0:
        return Prior(float(declared), False, int(entities), within, between)
    strength = within / between if between > 0 else STRONGEST
    return Prior(min(max(strength, WEAKEST), STRONGEST), True, int(entities), within, between)


def shrunk(sums: DataFrame, group: FeatureGroup, priors: Mapping[date, Mapping[str, Prior]]) -> DataFrame:
    """Returns the snapshots of `group` from its `sums` with expected values: the columns of table group.snapshot."""
    from pyspark.sql import functions as F

    names = [column_name(rate.name, window) for rate in group.rates for window in group.windows]
    strengths = [(day, [of_day[name].strength for name in names]) for day, of_day in priors.items()]
    spark = sums.sparkSession
    by_day = spark.createDataFrame(strengths, "ds date, strengths array<double>")
    joined = sums.join(F.broadcast(by_day), on="ds", how="inner")
    values = [
        _value(feature, window, names.index(name) if name in names else -1).cast("float").alias(name)
        for feature, window, name in group.columns
    ]
    return joined.select(*group.entity, *values, "ds")


def _value(feature: Value | Rate, window: Window, place: int) -> Column:
    from pyspark.sql import functions as F

    if isinstance(feature, Value):
        return F.log1p(F.col(column_name(feature.measure.name, window)) / float(window.unit))
    strength, name = F.col("strengths")[place], column_name(feature.name, window)
    top, n = (_amount(measure.name, feature, window) for measure in (feature.top, feature.bottom))
    return (top + strength * F.col(EXPECTED + name)) / (n + strength)


def _amount(measure: str, rate: Rate, window: Window) -> Column:
    """Returns a sum in impressions."""
    from pyspark.sql import functions as F

    return F.col(column_name(measure, window)) / float(rate.scale * window.unit)
