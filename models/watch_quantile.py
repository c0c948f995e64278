"""Watch time set against videos of like length: where an impression stands among those of its duration bucket.

Long videos are watched for longer, so raw watch time rewards length, and a threshold on it punishes or rewards length
wherever the threshold happens to lie. A percentile within the duration bucket compares like with like. The idea is
D2Q's (Zhan et al., "Deconfounding Duration Bias in Watch-time Prediction for Video Recommendation", KDD 2022), which
regresses on watch-time quantiles of duration groups; its groups are of equal size, ours are features/duration_buckets.

Counts are whole numbers on a fixed grid, so neither row order nor partitioning changes a percentile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from features.duration_buckets import DURATION_BUCKET_SQL, UNKNOWN
from models.labels import WATCH_CAP_MS, WATCH_PERCENTILE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

STEP_MS = 100
STEPS = WATCH_CAP_MS // STEP_MS + 2
"""Steps of the grid. Step 0 is not watched at all, step s is ((s - 1) · 100, s · 100] ms, the last is the cap and more:
many watch nothing or reach the cap, and each of these is a tie of its own."""

BUCKETS = UNKNOWN + 1

STEP_SQL = f"cast(if(watch_ms >= {WATCH_CAP_MS}, {STEPS - 1}, (watch_ms + {STEP_MS - 1}) div {STEP_MS}) as int)"
BUCKET_SQL = f"coalesce({DURATION_BUCKET_SQL}, {UNKNOWN})"

DECILES = 10


def watch_counts(rows: DataFrame) -> NDArray[np.int64]:
    """Returns how many rows of part train lie in each duration bucket and step of watch time, int64 (BUCKETS, STEPS).

    One aggregate over `rows`, which have part, watch_ms and duration_ms; other parts are not looked at.
    """
    from pyspark.sql import functions as F

    cells = rows.where("part = 'train'").select(F.expr(BUCKET_SQL).alias("bucket"), F.expr(STEP_SQL).alias("step"))
    counts = np.zeros((BUCKETS, STEPS), np.int64)
    for bucket, step, count in cells.groupBy("bucket", "step").count().collect():
        counts[bucket, step] = count
    return counts


def percentiles(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns the mid-rank percentile of every cell of `counts` (buckets, steps), in [0, 1]: same shape.

    (rows of the bucket in lower steps + half of those in the step) / rows of the bucket. It never falls from one step
    to the next, and its mean over the bucket's rows is 0.5. NaN in a bucket without rows.
    """
    rows = counts.sum(axis=1, keepdims=True)
    twice = 2 * np.cumsum(counts, axis=1) - counts
    return np.where(rows > 0, twice / np.maximum(2 * rows, 1), np.nan)


def with_percentile(rows: DataFrame, of_cells: NDArray[np.float64]) -> DataFrame:
    """Returns `rows` with WATCH_PERCENTILE, double: what `of_cells` (BUCKETS, STEPS) holds for the row's cell.

    Null where that is NaN. `rows` have watch_ms and duration_ms; the cells are broadcast.
    """
    from pyspark.sql import functions as F

    known = [(int(b), int(s), float(of_cells[b, s])) for b, s in np.argwhere(~np.isnan(of_cells))]
    cells = rows.sparkSession.createDataFrame(known, f"watch_bucket int, watch_step int, {WATCH_PERCENTILE} double")
    keyed = rows.withColumns({"watch_bucket": F.expr(BUCKET_SQL), "watch_step": F.expr(STEP_SQL)})
    keys = ["watch_bucket", "watch_step"]
    return keyed.join(F.broadcast(cells), on=keys, how="left").select(*rows.columns, WATCH_PERCENTILE)


@dataclass(frozen=True)
class DurationRates:
    """Positive rates by decile of video length, shortest first: arrays (10,), NaN in a decile without rows.

    `longest_ms` is the longest video of each decile. `long_view` is the rate of the raw label; `debiased` that of
    percentiles of at least `threshold`, the value at which both rates are as nearly equal over all rows as ties allow.
    """

    rows: NDArray[np.int64]
    longest_ms: NDArray[np.float64]
    long_view: NDArray[np.float64]
    debiased: NDArray[np.float64]
    threshold: float

    @property
    def spread(self) -> tuple[float, float]:
        """Highest less lowest rate, of long_view and of debiased."""
        return float(np.nanmax(self.long_view) - np.nanmin(self.long_view)), float(
            np.nanmax(self.debiased) - np.nanmin(self.debiased)
        )


def rates_by_duration(
    duration_ms: NDArray[Any], long_view: NDArray[Any], percentile: NDArray[np.float64]
) -> DurationRates:
    """Returns how the raw and the debiased label depend on video length, over rows that have both length and label.

    Arguments are (rows,), NaN where unknown; at least one row must be known. Videos of equal length share a decile.
    """
    there = ~(np.isnan(duration_ms.astype(np.float64)) | np.isnan(percentile))
    duration, positive, watched = duration_ms[there].astype(np.float64), long_view[there] > 0, percentile[there]
    values, count = np.unique(watched, return_counts=True)
    at_least = np.cumsum(count[::-1])[::-1]
    threshold = float(values[np.argmin(np.abs(at_least - positive.sum()))])
    edges = np.quantile(duration, np.arange(1, DECILES) / DECILES)
    decile = np.searchsorted(edges, duration, side="right")
    rows = np.bincount(decile, minlength=DECILES)
    longest = np.full(DECILES, np.nan)
    np.fmax.at(longest, decile, duration)

    def rate(label: NDArray[np.bool_]) -> NDArray[np.float64]:
        sums = np.bincount(decile, weights=label, minlength=DECILES)
        return np.where(rows > 0, sums / np.maximum(rows, 1), np.nan)

    return DurationRates(rows, longest, rate(positive), rate(watched >= threshold), threshold)


def seconds_at(
    bucket: NDArray[np.int64], percentile: NDArray[np.float64], known: tuple[NDArray[np.int64], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Returns the watch time in seconds that stands at `percentile` among `known` rows of the row's `bucket`, (rows,).

    The way back from the debiased label. `known` are buckets and watch times in seconds of rows to learn from; a
    bucket without any is answered from all of them.
    """
    of_known, seconds = known
    found = np.quantile(seconds, np.clip(percentile, 0.0, 1.0))
    for one in np.unique(bucket):
        there = seconds[of_known == one]
        if there.size:
            mine = bucket == one
            found[mine] = np.quantile(there, np.clip(percentile[mine], 0.0, 1.0))
    return found
