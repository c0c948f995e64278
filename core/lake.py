"""The lake: Delta tables that Spark writes and delta-rs commits, each `ds` partition replaced whole or not at all.

A publish writes Parquet files into a folder of its own below the table, checks what it wrote, and then names the
files in one Delta commit. Readers ask the Delta log which files make up a version, so nothing half-written is ever
seen, nothing moves, and the same works on any store that Spark, Arrow and delta-rs share.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.contract import Finding, conform, findings, totals
from core.errors import ContractError, MissingDataError
from core.table import Table

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.dataset
    from deltalake import DeltaTable
    from deltalake.transaction import AddAction, RemoveAction
    from pyspark.sql import DataFrame, Row, SparkSession
    from pyspark.sql.types import StructType

PROVENANCE = "reelfeed"
RESTORED = "reelfeed_restored_version"
BATCH_ROWS = 16_384
Validate = Callable[["DataFrame", Table, list[Finding]], list[Finding]]


@dataclass(frozen=True)
class Partition:
    """What was published for one day: its row count and a hash of its content, the same whatever the row order."""

    rows: int
    hash: str


@dataclass(frozen=True)
class Publish:
    """One commit: which job wrote which days, in how many seconds, and which table versions it had read."""

    table: str
    version: int
    job: str
    seconds: float
    days: dict[str, Partition]
    reads: dict[str, int]
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Lake:
    """All tables below one root, a local folder or a store's address."""

    root: str

    def path(self, table: Table) -> str:
        return posixpath.join(self.root, table.name)

    def exists(self, table: Table) -> bool:
        from deltalake import DeltaTable

        return bool(DeltaTable.is_deltatable(self.path(table)))

    def open(self, table: Table, version: int | None = None) -> DeltaTable:
        """Returns the Delta table at `version` (default: newest); raises MissingDataError where there is none."""
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        if not self.exists(table):
            raise MissingDataError(f"table {table.name!r} was never published", where=self.path(table))
        try:
            return DeltaTable(self.path(table), version=version)
        except DeltaError as error:
            raise MissingDataError(
                f"table {table.name!r} has no version {version}: {error}",
                where=self.path(table),
                next_step=f"reelfeed tables {table.name}",
            ) from None

    def days(self, table: Table, version: int | None = None) -> list[date]:
        """Returns the days that were published, in order; none for a table that never was.

        Days without a row count where the table may be empty (min_rows 0).
        """
        if not self.exists(table):
            return []
        if table.min_rows == 0:
            upto = [publish for publish in self.history(table) if version is None or publish.version <= version]
            return sorted({date.fromisoformat(day) for publish in upto for day in publish.days})
        return sorted(date.fromisoformat(part["ds"]) for part in self.open(table, version).partitions())

    def read(self, spark: SparkSession, table: Table, days: Sequence[date], version: int | None = None) -> DataFrame:
        """Returns the rows of `days` at `version` (default: newest), one row per key and `ds`.

        Raises MissingDataError for a day that is absent, unless the table may be empty (min_rows 0).
        """
        schema = spark_schema(table)
        files = self.files(table, days, version)
        if not files:
            return spark.createDataFrame([], schema)
        reader = spark.read.schema(schema).option("basePath", self.path(table))
        return reader.parquet(*files).select(*table.column_names)

    def read_arrow(
        self,
        table: Table,
        days: Sequence[date],
        columns: Sequence[str] | None = None,
        version: int | None = None,
        **equal: str,
    ) -> pyarrow.Table:
        """Returns the same rows as `read` as an Arrow table, without Spark; those whose columns have values `equal`.

        Raises MissingDataError for an absent day and for a table that was never published.
        """
        self.files(table, days, version)
        wanted = _wanted(days, equal)
        return self.dataset(table, version).to_table(columns=list(columns) if columns else None, filter=wanted)

    def read_batches(
        self, table: Table, days: Sequence[date], columns: Sequence[str], version: int | None = None, **equal: str
    ) -> Iterator[pyarrow.RecordBatch]:
        """Yields the same rows in batches of at most BATCH_ROWS, so that they are never in memory whole.

        In one order for one version; raises as `read_arrow` does.
        """
        self.files(table, days, version)
        yield from self.dataset(table, version).to_batches(
            columns=list(columns),
            filter=_wanted(days, equal),
            batch_size=BATCH_ROWS,
            batch_readahead=1,
            fragment_readahead=1,
        )

    def dataset(self, table: Table, version: int | None = None) -> pyarrow.dataset.Dataset:
        """Returns `table` at `version` (default: newest) as an Arrow dataset, for reading a few rows without Spark."""
        from pyarrow import fs

        store, base = fs.FileSystem.from_uri(address(self.path(table)))
        # Arrow's own file system: through that of delta-rs, which is Python, one process in 25 aborted at its end.
        return self.open(table, version).to_pyarrow_dataset(filesystem=fs.SubTreeFileSystem(base, store))

    def files(self, table: Table, days: Sequence[date], version: int | None = None) -> list[str]:
        """Returns the addresses of the Parquet files that hold the rows of `days`, sorted; raises as `read` does."""
        there = set(self.days(table, version))
        absent = [day for day in days if day not in there]
        if absent and table.min_rows > 0:
            span = f"{min(there)} to {max(there)}" if there else "none"
            raise MissingDataError(
                f"table {table.name!r} has no rows for {', '.join(map(str, absent[:5]))}",
                where=self.path(table),
                choices=[f"days published: {span}"],
                next_step=f"run the job that writes {table.name} for that day: `reelfeed plan` names it",
            )
        if not there or not days:
            return []
        files = self.open(table, version).file_uris(partition_filters=[("ds", "in", [str(day) for day in days])])
        return sorted(files)

    def publish(
        self,
        frame: DataFrame,
        table: Table,
        days: Sequence[date],
        *,
        validate: Validate,
        job: str,
        seconds: Callable[[], float],
        reads: dict[str, int],
    ) -> Publish:
        """Replaces the partitions `days` of `table` with the rows of `frame`, in one commit, or raises.

        `frame` must have the table's columns and no other days. Otherwise as `publish_files`.
        """
        fitting = conform(frame, table)

        def write(target: str) -> None:
            fitting.write.partitionBy("ds").parquet(target)

        return self.publish_files(
            frame.sparkSession, table, days, write, validate=validate, job=job, seconds=seconds, reads=reads
        )

    def publish_files(
        self,
        spark: SparkSession,
        table: Table,
        days: Sequence[date],
        write: Callable[[str], None],
        *,
        validate: Validate,
        job: str,
        seconds: Callable[[], float],
        reads: dict[str, int],
    ) -> Publish:
        """Replaces the partitions `days` of `table` with the Parquet files that `write` puts into the folder it is
        given, below ds=YYYY-MM-DD, in one commit, or raises.

        `validate` sees the written rows and what one pass over them found, and returns all findings; any that says
        stop raises ContractError and nothing is published. Days whose content is already there, hash for hash and
        column for column, are not written again: then the commit that published the first of them is returned, with
        all of `days`.
        """
        folder = f"publish={uuid.uuid4().hex}"
        target = posixpath.join(self.path(table), folder)
        write(target)
        written = spark.read.schema(spark_schema(table)).parquet(target).select(*table.column_names)
        seen = _survey(written, table)
        partitions = _partitions(seen, days)
        found = _day_findings(partitions, table, days) or validate(written, table, findings(seen, written, table))
        stops = [finding.text for finding in found if finding.severity == "stop"]
        if stops:
            _remove(target)
            raise ContractError(
                "; ".join(stops),
                where=f"table {table.name}, ds {_span(days)}: nothing was published",
                next_step=f"mend the input or the job {job}, then run it again",
            )
        current = self.partitions(table, days)
        if self._has_columns(table) and all(current.get(day) == part for day, part in partitions.items()):
            _remove(target)
            standing = next(publish for publish in self.history(table) if str(days[0]) in publish.days)
            return replace(standing, days=partitions)
        notes = tuple(finding.text for finding in found)
        record = Publish(table.name, -1, job, round(seconds(), 3), partitions, reads, notes)
        version = self._commit(table, folder, target, days, record)
        return Publish(table.name, version, job, record.seconds, partitions, reads, notes)

    def _has_columns(self, table: Table) -> bool:
        """Returns whether `table` was published with all its columns; nulls of a new one would not change a hash."""
        there = {field.name for field in self.open(table).schema().fields} if self.exists(table) else set()
        return there.issuperset(table.column_names)

    def _commit(self, table: Table, folder: str, target: str, days: Sequence[date], record: Publish) -> int:
        from deltalake import CommitProperties, DeltaTable, Schema

        schema = Schema.from_json(spark_schema(table).json())
        if not self.exists(table):
            DeltaTable.create(self.path(table), schema, mode="ignore", partition_by=["ds"], description=table.doc)
        delta = self.open(table)
        delta.create_write_transaction(
            _adds(folder, target),
            "overwrite",
            schema,
            partition_by=["ds"],
            partition_filters=[("ds", "in", [str(day) for day in days])],
            commit_properties=CommitProperties(custom_metadata=_provenance(record)),
        )
        delta.update_incremental()
        return int(delta.version())

    def append(self, table: Table, day: date, rows: Sequence[Mapping[str, Any]], *, job: str) -> int:
        """Adds `rows` to the partition `day` of `table`, in one commit and without Spark; returns the new version.

        For a row of a ledger that can't wait for Spark to start. The partition's hash is then not the one that a
        publish of the same rows has, so such a publish is committed once more. Raises MissingDataError for a table that
        was never published, ContractError for a value that is missing.
        """
        import pyarrow as pa
        from deltalake import CommitProperties
        from pyarrow import fs, parquet

        needed = [column.name for column in table.columns if not column.nullable]
        missing = sorted({name for row in rows for name in needed if row.get(name) is None})
        if missing:
            raise ContractError(f"rows without {', '.join(missing)}", where=f"table {table.name}, ds {day}")
        delta = self.open(table)
        before = self.partitions(table, [day]).get(str(day), Partition(0, "empty"))
        told = json.dumps([before.hash, *rows], sort_keys=True, default=str)
        part = Partition(before.rows + len(rows), hashlib.sha256(told.encode()).hexdigest()[:28])
        record = Publish(table.name, -1, job, 0.0, {str(day): part}, {})
        folder = f"publish={uuid.uuid4().hex}"
        target = posixpath.join(self.path(table), folder)
        store, base = fs.FileSystem.from_uri(address(f"{target}/ds={day}"))
        store.create_dir(base)
        schema = pa.schema([one for one in pa.schema(delta.schema().to_arrow()) if one.name != "ds"])
        parquet.write_table(pa.Table.from_pylist(list(rows), schema), f"{base}/part-0.parquet", filesystem=store)
        delta.create_write_transaction(
            _adds(folder, target),
            "append",
            delta.schema(),
            partition_by=["ds"],
            commit_properties=CommitProperties(custom_metadata=_provenance(record)),
        )
        delta.update_incremental()
        return int(delta.version())

    def history(self, table: Table) -> list[Publish]:
        """Returns what was published to `table`, newest first; publishes that a later restore undid are left out."""
        if not self.exists(table):
            return []
        found: list[Publish] = []
        undone_after: int | None = None
        for commit in self.open(table).history():
            version = int(commit["version"])
            if undone_after is not None and version > undone_after:
                continue
            if RESTORED in commit:
                undone_after = int(commit[RESTORED])
            if PROVENANCE in commit:
                found.append(_publish(table, version, commit[PROVENANCE]))
        return found

    def partitions(self, table: Table, days: Iterable[date], version: int | None = None) -> dict[str, Partition]:
        """Returns what stood at `version` (default: stands now) for each of `days`, by ISO day; days that were never
        published are absent."""
        wanted, found = {str(day) for day in days}, dict[str, Partition]()
        for publish in self.history(table):
            if version is not None and publish.version > version:
                continue
            for day in wanted & publish.days.keys():
                found.setdefault(day, publish.days[day])
        return found

    def restore(self, table: Table, version: int) -> int:
        """Makes `version` the newest content of `table` again and returns the new version's number."""
        from deltalake import CommitProperties

        delta = self.open(table)
        self.open(table, version)
        note = {RESTORED: str(version)}
        delta.restore(version, commit_properties=CommitProperties(custom_metadata=note))
        delta.update_incremental()
        return int(delta.version())

    def vacuum(self, table: Table, retention: timedelta, keep: Sequence[int] = ()) -> list[str]:
        """Deletes files that neither a version younger than `retention` nor one of `keep` names; returns their paths.

        Files of killed publishes go too, so `retention` must be longer than the longest publish takes.
        """
        hours = int(retention.total_seconds() // 3600)
        gone = self.open(table).vacuum(
            hours, dry_run=False, enforce_retention_duration=False, full=True, keep_versions=sorted(set(keep)) or None
        )
        return list(gone)

    def is_whole(self, table: Table, day: date, version: int) -> bool:
        """Whether the rows of `day` at `version` can still be read: it is known, and all its files are there."""
        from pyarrow import fs

        try:
            files = self.files(table, [day], version)
        except MissingDataError:
            return False
        located = [fs.FileSystem.from_uri(address(file)) for file in files]
        return all(store.get_file_info(path).type == fs.FileType.File for store, path in located)


def _wanted(days: Sequence[date], equal: Mapping[str, str]) -> pyarrow.dataset.Expression:
    from pyarrow import dataset

    wanted = dataset.field("ds").isin(list(days))
    for column, value in equal.items():
        wanted = wanted & (dataset.field(column) == value)
    return wanted


def spark_schema(table: Table) -> StructType:
    """Returns the Spark schema of `table`, every field nullable: nulls are refused by checks, not by files."""
    from pyspark.sql.types import StructType

    schema: StructType = StructType.fromDDL(table.ddl)  # type: ignore[assignment]
    return schema


def _provenance(record: Publish) -> dict[str, str]:
    """Returns what a commit says of its publish, as `history` reads it."""
    content = {key: value for key, value in asdict(record).items() if key not in ("table", "version")}
    return {PROVENANCE: json.dumps(content)}


def _publish(table: Table, version: int, content: str) -> Publish:
    record = json.loads(content)
    days = {day: Partition(**part) for day, part in record.pop("days").items()}
    return Publish(table=table.name, version=version, days=days, notes=tuple(record.pop("notes")), **record)


def _survey(frame: DataFrame, table: Table) -> list[Row]:
    """Returns per day, from one pass, what the contract asks and the row hashes' exclusive or and sum."""
    from pyspark.sql import functions as F

    row_hash = F.xxhash64(*[F.col(name) for name in frame.columns])
    hashes = (F.bit_xor("hash").alias("xor"), F.sum(F.col("hash").bitwiseAND((1 << 31) - 1)).alias("sum"))
    return list(frame.withColumn("hash", row_hash).groupBy("ds").agg(*hashes, *totals(table)).collect())


def _partitions(seen: Sequence[Row], days: Sequence[date]) -> dict[str, Partition]:
    """Returns rows and content hash per day; exclusive or and sum, so that the order of rows does not matter."""
    found = {
        str(row["ds"]): Partition(row["rows"], f"{row['xor'] & (1 << 64) - 1:016x}{row['sum']:012x}") for row in seen
    }
    return {str(day): Partition(0, "empty") for day in days} | found


def _day_findings(partitions: dict[str, Partition], table: Table, days: Sequence[date]) -> list[Finding]:
    asked = {str(day) for day in days}
    found = [
        Finding("stop", f"rows of {day}, which this run does not write") for day in sorted(partitions.keys() - asked)
    ]
    found += [
        Finding("stop", f"{part.rows} rows for {day}, at least {table.min_rows} expected")
        for day, part in sorted(partitions.items())
        if day in asked and part.rows < table.min_rows
    ]
    return found


def _written_files(target: str) -> list[tuple[str, int, int]]:
    """Returns path below `target`, size in bytes and modification time (Unix ms) of every Parquet file there."""
    from pyarrow import fs

    store, base = fs.FileSystem.from_uri(address(target))
    infos = store.get_file_info(fs.FileSelector(base, recursive=True))
    return sorted(
        (posixpath.relpath(info.path, base), info.size, int((info.mtime_ns or 0) // 1_000_000))
        for info in infos
        if info.type == fs.FileType.File and info.path.endswith(".parquet")
    )


def _adds(folder: str, target: str) -> list[AddAction | RemoveAction]:
    """Returns what puts the Parquet files below `target`, the table's own `folder`, into a commit."""
    from deltalake.transaction import AddAction

    return [
        AddAction(
            posixpath.join(folder, name), size, {"ds": name.split("/")[0].removeprefix("ds=")}, modified, True, "{}"
        )
        for name, size, modified in _written_files(target)
    ]


def _remove(target: str) -> None:
    from pyarrow import fs

    store, base = fs.FileSystem.from_uri(address(target))
    store.delete_dir(base)


def address(path: str) -> str:
    """Returns `path` as Arrow's file systems take it: a store's address, or an absolute path."""
    return path if "://" in path else str(Path(path).absolute())


def _span(days: Sequence[date]) -> str:
    return str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}"
