"""The pre-ranker: a small model of what the ranker would say, which leaves the ranker a quarter of the candidates.

Tonight's ranker values every candidate of a few users, drawn by hash; gradient-boosted trees learn that value from who
named the candidate, and where, and a few features (FEW); the best of every user by this guess go on to the ranker.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from features.group import FeatureGroup
from features.groups.author_reception import GROUP as AUTHOR
from features.groups.user_author_affinity import GROUP as USER_AUTHOR
from features.groups.user_tag_affinity import GROUP as USER_TAG
from features.groups.video_reception import GROUP as VIDEO
from models.merge import of_source

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from features.point_in_time import Knowledge

FEW: tuple[tuple[FeatureGroup, tuple[str, ...]], ...] = (
    (VIDEO, ("showings_28d", "long_view_rate_28d", "long_view_rate_decayed", "watched_share_28d", "like_rate_28d",
             "not_interested_rate_28d")),
    (AUTHOR, ("long_view_rate_28d", "not_interested_rate_28d")),
    (USER_TAG, ("long_view_rate_28d", "watched_share_28d", "like_rate_28d")),
    (USER_AUTHOR, ("long_view_rate_28d", "watched_share_28d")),
)  # fmt: skip
"""Features that the guess is made of, besides the candidate's rank, its length and its sources; NaN where unseen."""

TEACHING_USERS = 200
"""Users whose candidates are all ranked: one half teaches, the other tells what the cut costs."""
ROUNDS = 100
PARAMETERS = {
    "objective": "regression",
    "num_leaves": 31,
    "learning_rate": 0.1,
    "min_data_in_leaf": 20,
    "verbosity": -1,
}


@dataclass(frozen=True)
class Cost:
    """What the cut cost, of `users` that the guess had not learned from; shares are NaN where there were none."""

    users: int
    candidates: float
    scored: float
    value_kept: float
    top_kept: float


def described(candidates: DataFrame, known: Knowledge, sources: Sequence[str]) -> DataFrame:
    """Returns user_id, video_id, rank, is_kept and `few`, array<float>, for candidates of the night `snapshot_ds`.

    `candidates` has user_id, video_id, rank, sources, is_kept, author_id, tag_id, duration_ms, snapshot_ds.
    """
    from pyspark.sql import functions as F

    joined = candidates
    numbers = [F.col("rank"), F.col("duration_ms")]
    numbers += [of_source(name, field) for name in sources for field in ("rank", "score")]
    for group, columns in FEW:
        snapshot = known.snapshots[group.name]
        values = [F.col(column).alias(f"{group.name}__{column}") for column in columns]
        keyed = snapshot.select(*group.entity, F.col("ds").alias("snapshot_ds"), *values)
        joined = joined.join(keyed, on=[*group.entity, "snapshot_ds"], how="left")
        numbers += [F.col(f"{group.name}__{column}") for column in columns]
    few = F.array(*[F.coalesce(number.cast("float"), F.lit(float("nan")).cast("float")) for number in numbers])
    return joined.select("user_id", "video_id", "rank", "is_kept", few.alias("few"))


def taught(few: np.ndarray, value: np.ndarray, seed: int, threads: int) -> str:
    """Returns LightGBM's text of the model that guesses `value` (rows,) from `few` (rows, numbers)."""
    import lightgbm

    parameters = {**PARAMETERS, "seed": seed, "num_threads": threads, "deterministic": True, "force_row_wise": True}
    return str(lightgbm.train(parameters, lightgbm.Dataset(few, value), ROUNDS).model_to_string())


def cut(rows: DataFrame, model: str, most: int) -> DataFrame:
    """Returns user_id, video_id of the `most` of every user that go on: those kept, then the best by the guess.

    `rows` is what `described` returns; an empty `model` guesses the merged order.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    best = Window.partitionBy("user_id").orderBy(F.desc("is_kept"), F.desc("guess"), "video_id")
    guessed_rows = rows.mapInArrow(guesses(model), "user_id bigint, video_id bigint, is_kept boolean, guess double")
    placed = guessed_rows.withColumn("place", F.row_number().over(best))
    return placed.where(F.col("place") <= most).select("user_id", "video_id")


def guesses(model: str):  # type: ignore[no-untyped-def]  # what mapInArrow takes
    """Returns the function of Arrow batches that adds `guess`, the value that `model` expects."""

    def guess(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import numpy as np
        import pyarrow as pa

        from models.scorer import scorer

        for batch in batches:
            if not batch.num_rows:
                continue
            few = np.asarray(batch.column("few").flatten(), dtype=np.float32).reshape(batch.num_rows, -1)
            guessed = scorer((model,)).predict(few)[:, 0] if model else -few[:, 0].astype(np.float64)
            names = ["user_id", "video_id", "is_kept"]
            yield pa.RecordBatch.from_arrays(
                [*[batch.column(name) for name in names], pa.array(guessed)], names=[*names, "guess"]
            )

    return guess


def cost(user: np.ndarray, value: np.ndarray, goes_on: np.ndarray, length: int) -> Cost:
    """Returns what the cut cost of candidates (rows,): the ranker's `value`, and whether each one `goes_on` to it."""
    import numpy as np

    users, place = np.unique(user, return_inverse=True)
    if not len(users):
        return Cost(0, 0.0, 0.0, float("nan"), float("nan"))
    best = _first(place, value, length)
    left = np.nonzero(goes_on)[0]
    best_left = left[_first(place[left], value[left], length)]
    return Cost(
        users=len(users),
        candidates=len(user) / len(users),
        scored=len(left) / len(users),
        value_kept=float(value[best_left].sum() / value[best].sum()),
        top_kept=float(goes_on[best].mean()),
    )


def _first(place: np.ndarray, value: np.ndarray, length: int) -> np.ndarray:
    """Returns the rows of the `length` largest values of each place."""
    import numpy as np

    order = np.lexsort((-value, place))
    begins = np.searchsorted(place[order], place[order])
    chosen: np.ndarray = order[np.arange(len(order)) - begins < length]
    return chosen
