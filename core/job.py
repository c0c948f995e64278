"""A job: what it reads, what it writes, and a function between; the context through which it alone does I/O."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from core.errors import UsageError
from core.lake import Lake, Publish
from core.recipe import Recipe
from core.settings import Settings
from core.table import Table

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame, SparkSession

    from core.contract import Finding

log = logging.getLogger("reelfeed")
alert = logging.getLogger("reelfeed.alert")
"""For the lines, each beginning with ALERT and an owner, that a person is to see: docs/runbook.md lists them."""


@dataclass(frozen=True)
class Job:
    """One step of a night: one Airflow task, one `reelfeed run NAME`, one spark-submit.

    `run` may read only tables in `reads` and must publish every table in `writes`, for all days it is given. Tables in
    `keeps` are its own memory, which it may publish and read back: whether it does changes how long it takes, nothing
    else. A job that `spans` is given a whole range of days at once; any other runs for the last day of the range alone.
    `spark` are Spark properties that its application needs, beside those of the settings, which win.
    """

    name: str
    doc: str
    owner: str
    reads: tuple[Table, ...]
    writes: tuple[Table, ...]
    run: Callable[[JobContext], None]
    spans: bool = False
    timeout_minutes: int = 60
    retries: int = 2
    keeps: tuple[Table, ...] = ()
    spark: Mapping[str, str] = field(default_factory=dict)


@dataclass
class JobContext:
    """Everything a job may touch. `days` are the days it writes, in order, without gaps; `ds` is the last of them.

    `experiment` is what the run changes, as the jobs that know of experiments read it; empty where nothing. `hour` is
    that of a day in progress: what had arrived when it began may be known; 0 where the day is over.
    """

    job: Job
    days: tuple[date, ...]
    settings: Settings
    recipe: Recipe
    logs: str
    logs_dir: str
    lake: Lake
    experiment: str = ""
    hour: int = 0
    started: float = field(default_factory=time.monotonic)
    reads: dict[str, int] = field(default_factory=dict)
    published: list[Publish] = field(default_factory=list)

    @property
    def ds(self) -> date:
        return self.days[-1]

    @property
    def spark(self) -> SparkSession:
        from core.spark import session

        return session(self.settings, f"reelfeed {self.job.name} {self.ds}")

    def read(self, table: Table, days: Sequence[date] | None = None) -> DataFrame:
        """Returns the rows of `table` for `days` (default: the days this job writes).

        Raises UsageError for a table that the job does not declare, MissingDataError for an absent day.
        The version is fixed at a job's first read of a table, so that all its reads agree.
        """
        wanted = self.days if days is None else days
        return self.lake.read(self.spark, table, wanted, self._version(table))

    def read_arrow(self, table: Table, columns: Sequence[str] | None = None) -> pyarrow.Table:
        """Returns the rows of `table` for `ds` as an Arrow table, without Spark; raises as `read` does."""
        return self.lake.read_arrow(table, [self.ds], columns, self._version(table))

    def read_batches(self, table: Table, columns: Sequence[str]) -> Iterator[pyarrow.RecordBatch]:
        """Yields the rows of `table` for `ds` in Arrow batches, without Spark; raises as `read` does."""
        return self.lake.read_batches(table, [self.ds], columns, self._version(table))

    def read_window(self, table: Table, back: int) -> DataFrame:
        """Returns the rows of `table` from `back` days before the first day that this job writes until `ds`.

        Days inside the window that were never published are left out; `ds` must be there.
        """
        first, version = self.days[0] - timedelta(days=back), self._version(table)
        there = [day for day in self.lake.days(table, version) if first <= day < self.ds]
        return self.lake.read(self.spark, table, [*there, self.ds], version)

    def read_back(self, table: Table, back: int) -> DataFrame:
        """Returns the same window of a table that this job has just published, at the version it published."""
        if not any(publish.table == table.name for publish in self.published):
            raise UsageError(f"job {self.job.name!r} reads table {table.name!r} back before it wrote it")
        first, version = self.days[0] - timedelta(days=back), int(self.lake.open(table).version())
        self.reads[table.name] = version
        there = [day for day in self.lake.days(table, version) if first <= day <= self.ds]
        return self.lake.read(self.spark, table, there, version)

    def days_of(self, table: Table) -> list[date]:
        """Returns the days up to `ds` for which `table` has rows."""
        version = self._version(table)
        return [day for day in self.lake.days(table, version) if day <= self.ds]

    def publish(self, table: Table, frame: DataFrame, *, grouped: bool = False) -> Publish:
        """Publishes `frame` as the partitions `days` of `table`, checked, whole or not at all.

        `grouped` rows were grouped by `ds` and the table's key: such a key cannot repeat, and is not looked for.
        Raises UsageError for a table that the job does not declare, ContractError for data that breaks it.
        """
        self._may_publish(table)
        validate = _as_seen if grouped else self._validate
        return self._published(table, self.lake.publish(frame, table, self.days, validate=validate, **self._provenance))

    def publish_files(self, table: Table, write: Callable[[str], None]) -> Publish:
        """Publishes the Parquet files that `write` makes, as core/lake.py says; no key may repeat in them."""
        self._may_publish(table)
        done = self.lake.publish_files(self.spark, table, self.days, write, validate=_as_seen, **self._provenance)
        return self._published(table, done)

    @property
    def _provenance(self) -> dict[str, Any]:
        # Of the version as read so far: groups built side by side go on reading.
        return {
            "job": self.job.name,
            "seconds": lambda: time.monotonic() - self.started,
            "reads": dict(self.reads),
        }

    def _may_publish(self, table: Table) -> None:
        if table not in (*self.job.writes, *self.job.keeps):
            raise self._undeclared(table, "writes", self.job.writes)

    def _published(self, table: Table, publish: Publish) -> Publish:
        self.published.append(publish)
        for note in publish.notes:
            log.warning("%s: %s", table.name, note)
        rows = sum(publish.days[str(day)].rows for day in self.days)
        log.info("%s: %s rows, version %s", table.name, f"{rows:,}", publish.version)
        return publish

    def _validate(self, frame: DataFrame, table: Table, seen: list[Finding]) -> list[Finding]:
        if table.guarded:
            from core import expectations

            return expectations.findings(frame, table, seen, self.settings.home_path)
        from core.contract import repeated_keys

        return [*seen, *repeated_keys(frame, table)]

    def _version(self, table: Table) -> int | None:
        if table not in self.job.reads:
            raise self._undeclared(table, "reads", self.job.reads)
        if table.name not in self.reads and self.lake.exists(table):
            self.reads[table.name] = int(self.lake.open(table).version())
        return self.reads.get(table.name)

    def _undeclared(self, table: Table, verb: str, declared: Sequence[Table]) -> UsageError:
        return UsageError(
            f"job {self.job.name!r} does not declare that it {verb} table {table.name!r}",
            where=f"jobs/{self.job.name}.py",
            choices=[known.name for known in declared],
            next_step=f"add it to `{verb}` at the foot of that file",
        )


def _as_seen(_: DataFrame, __: Table, seen: list[Finding]) -> list[Finding]:
    """Adds nothing to what one pass over the rows found."""
    return seen


def in_order(jobs: Mapping[str, Job]) -> list[Job]:
    """Returns `jobs` so that every writer of a table stands before its readers; ties in order of name.

    Raises UsageError where jobs wait for each other in a circle.
    """
    waiting, placed = dict(sorted(jobs.items())), list[Job]()
    while waiting:
        unwritten = {table.name for job in waiting.values() for table in job.writes}
        ready = [
            job
            for job in waiting.values()
            if not {t.name for t in job.reads} & unwritten - {t.name for t in job.writes}
        ]
        if not ready:
            raise UsageError(
                "jobs wait for each other in a circle", choices=waiting, where="their `reads` and `writes`"
            )
        for job in ready:
            placed.append(waiting.pop(job.name))
    return placed
