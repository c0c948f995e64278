"""Windowed sums carried from one night to the next: those of the eve, and what enters or leaves a window tonight.

Entities are dealt to BUCKETS by hash, and a bucket's sums are one file. So only tonight's changes move between
machines: each bucket's meet its file where they arrive, are added to it in Arrow, and make the next file.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

from core.errors import ReelfeedError
from core.lake import address
from features.group import FeatureGroup, Measure, column_name
from features.window import Window

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

BUCKETS = 32
"""Also of sums that stand: with another number they are made anew."""

FILE = "bucket-{:05d}.parquet"


def can_carry(group: FeatureGroup) -> bool:
    """Whether a night changes few of the group's sums: in a decayed window every sum changes, and of few entities
    all are quickly summed."""
    return bool(group.entity) and not any(window.half_life_days for window in group.windows)


def changes(tiles: DataFrame, group: FeatureGroup, day: date) -> DataFrame:
    """Returns the rows of `tiles` that enter or leave a window of `group` with `day`, as `write` takes them."""
    from pyspark.sql import functions as F

    leaving = [day - timedelta(days=window.days) for window in group.windows]
    return _dated(tiles.where((F.col("ds") == F.lit(day)) | F.col("event_on").isin(leaving)), group, day)


def everything(tiles: DataFrame, group: FeatureGroup, day: date) -> DataFrame:
    """Returns all that the sums of `group` at the end of `day` are made of, as `write` takes it."""
    from pyspark.sql import functions as F

    oldest = day - timedelta(days=group.longest - 1)
    seen = tiles.where(F.col("event_on").between(oldest, day) & (F.col("ds") <= F.lit(day)))
    return _dated(seen.withColumn("ds", F.lit(day)), group, day)


def _dated(tiles: DataFrame, group: FeatureGroup, day: date) -> DataFrame:
    from pyspark.sql import functions as F

    age = F.datediff(F.lit(day), "event_on").cast("int").alias("age")
    enters = (F.col("ds") == F.lit(day)).alias("enters")
    return tiles.select(*group.entity, age, enters, *[measure.name for measure in group.measures])


def by_bucket(files: Sequence[str]) -> dict[int, str]:
    """Returns the files of sums by bucket; none where they are not those of BUCKETS buckets."""
    named = {posixpath.basename(file): file for file in files}
    wanted = {FILE.format(bucket): bucket for bucket in range(BUCKETS)}
    return {wanted[name]: file for name, file in named.items()} if named.keys() == wanted.keys() else {}


def write(changed: DataFrame, group: FeatureGroup, day: date, eve: Mapping[int, str], target: str) -> None:
    """Writes the sums of `group` at the end of `day` below the folder `target`, a file per bucket.

    `changed` are the `changes` of the day and `eve` the files of the day before, by bucket; or `everything` and
    none. Raises ReelfeedError where not every bucket was written.
    """

    def merge(batches: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        import pyarrow as pa
        from pyarrow import fs, parquet
        from pyspark import TaskContext

        context = TaskContext.get()
        assert context is not None
        bucket = context.partitionId()
        before = None
        if bucket in eve:
            store, path = fs.FileSystem.from_uri(address(eve[bucket]))
            before = parquet.read_table(path, filesystem=store, use_threads=False, partitioning=None)
        sums = merged(before, list(batches), group)
        store, base = fs.FileSystem.from_uri(address(posixpath.join(target, f"ds={day}")))
        store.create_dir(base)
        # Renamed when whole: of two attempts at a task, one that was cut off leaves nothing that counts.
        part = posixpath.join(base, f".{FILE.format(bucket)}.{context.taskAttemptId()}")
        parquet.write_table(sums, part, filesystem=store)
        store.move(part, posixpath.join(base, FILE.format(bucket)))
        yield pa.RecordBatch.from_arrays([pa.array([bucket])], names=["bucket"])

    dealt = changed.repartition(BUCKETS, *group.entity).mapInArrow(merge, "bucket bigint")
    written = {row["bucket"] for row in dealt.collect()}
    if len(written) != BUCKETS:
        raise ReelfeedError(
            f"sums of {group.name} were written for {len(written)} of {BUCKETS} buckets",
            where=target,
            next_step="run the job again; nothing was published",
        )


def merged(before: pyarrow.Table | None, changed: Sequence[pyarrow.RecordBatch], group: FeatureGroup) -> pyarrow.Table:
    """Returns the columns of table group.sums but `ds`: `before` with what `changed` adds and takes away.

    Entities that the longest window has left are gone; rows are sorted by entity.
    """
    import numpy as np
    import pyarrow as pa

    arrow = {"bigint": pa.int64(), "int": pa.int32()}
    schema = pa.schema([(column.name, arrow[column.type]) for column in group.sums.columns])
    table = pa.Table.from_batches(changed) if changed else None
    parts = [part for part in (before, table) if part is not None and part.num_rows]
    if not parts:
        return schema.empty_table()
    entity = [np.concatenate([part[name].to_numpy() for part in parts]) for name in group.entity]
    order = np.lexsort(entity[::-1])
    entity = [values[order] for values in entity]
    first = np.ones(len(order), dtype=bool)
    first[1:] = np.any([values[1:] != values[:-1] for values in entity], axis=0)
    starts = np.flatnonzero(first)
    sums = {}
    for window in group.windows:
        sign = _sign(table, window) if table is not None and table.num_rows else None
        for measure in group.measures:
            name = column_name(measure.name, window)
            amounts = [] if before is None else [before[name].to_numpy()]
            amounts += [] if sign is None or table is None else [table[measure.name].to_numpy() * sign]
            sums[name] = np.add.reduceat(np.concatenate(amounts)[order], starts)
    seen = sums[column_name(counted(group).name, max(group.windows, key=lambda window: window.days))] > 0
    columns = {name: values[starts][seen] for name, values in zip(group.entity, entity, strict=True)}
    return pa.table(columns | {name: values[seen] for name, values in sums.items()}, schema=schema)


def counted(group: FeatureGroup) -> Measure:
    """Returns the measure that counts impressions, which every group that is carried has."""
    return next(measure for measure in group.measures if measure.sql == "1")


def _sign(changed: pyarrow.Table, window: Window) -> NDArray[np.int64]:
    """Returns for each row whether it enters `window`, 1, leaves it, -1, or neither, 0."""
    import numpy as np

    age, enters = changed["age"].to_numpy(), changed["enters"].to_numpy()
    signs: NDArray[np.int64] = np.where(enters, age < window.days, -(age == window.days).astype(np.int64))
    return signs
