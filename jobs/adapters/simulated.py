"""Logs of the simulated world. The world lives on: a day that is not on disk yet is made when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import ContractError, MissingDataError
from core.table import DS, Column, Table
from core.tables.blocked_authors import TABLE as BLOCKED_AUTHORS
from core.tables.follows import TABLE as FOLLOWS
from core.tables.users import TABLE as USERS
from core.tables.videos import TABLE as VIDEOS
from jobs.adapters._logs import FAULTS, RAW_IMPRESSIONS, Adapter, Logs, replayed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def days(logs_dir: str) -> list[date]:
    """Returns the days on disk, in order; raises MissingDataError where `logs_dir` holds no world."""
    from sim import logs

    return logs.days(logs_dir)


def read(spark: SparkSession, logs_dir: str, days: Sequence[date]) -> Logs:
    """Returns the logs that arrived on `days`, making those that are not on disk yet.

    Raises MissingDataError where `logs_dir` holds no world, for a day before the world's first and for an absent
    file, ContractError for a file with other columns than the simulated world's.
    """
    from sim import logs

    config = logs.load_config(logs_dir)
    before = sorted(day for day in days if day < config.first_day)
    if before:
        raise MissingDataError(
            f"the simulated world begins on {config.first_day}: there is no {', '.join(map(str, before[:5]))}",
            where=logs_dir,
            next_step=f"ask for {config.first_day} or later",
        )
    logs.write_days(config, logs_dir, days)
    return Logs(
        impressions=_impressions(spark, logs_dir, days),
        users=_catalogue(spark, logs_dir, days, USERS),
        videos=_catalogue(spark, logs_dir, days, VIDEOS),
        follows=_catalogue(spark, logs_dir, days, FOLLOWS),
        blocked_authors=_catalogue(spark, logs_dir, days, BLOCKED_AUTHORS),
    )


def _impressions(spark: SparkSession, logs_dir: str, days: Sequence[date]) -> DataFrame:
    from pyspark.sql import functions as F

    logged = [column for column in RAW_IMPRESSIONS if column not in (DS, FAULTS)]
    rows = _read(spark, logs_dir, days, "impressions", logged)
    no_faults = F.array().cast(FAULTS.type)
    return rows.withColumn(FAULTS.name, no_faults).select(*[column.name for column in RAW_IMPRESSIONS])


def _catalogue(spark: SparkSession, logs_dir: str, days: Sequence[date], table: Table) -> DataFrame:
    return _read(spark, logs_dir, days, table.name, table.columns).select(*table.column_names)


def _read(spark: SparkSession, logs_dir: str, days: Sequence[date], name: str, columns: Sequence[Column]) -> DataFrame:
    """Returns `columns` of the files `name` of `days`, and `ds`; Spark's partition column is the folder's day."""
    from sim import logs

    root = Path(logs_dir).absolute()
    paths = [logs.folder(str(root), day) / f"{name}.parquet" for day in days]
    for path in paths:
        _check(path, name)
    schema = ", ".join(f"`{column.name}` {column.type}" for column in columns)
    reader = spark.read.schema(f"{schema}, `day` date").option("basePath", str(root))
    return reader.parquet(*map(str, paths)).withColumnRenamed("day", DS.name)


def _check(path: Path, name: str) -> None:
    """Raises MissingDataError for an absent file and ContractError for one with other columns or none at all."""
    import pyarrow as pa
    from pyarrow import parquet

    from sim import logs

    again = f"remove {path.parent}: the day is made anew when next asked for"
    try:
        seen = parquet.read_schema(path)
    except FileNotFoundError:
        raise MissingDataError(f"no file {path.name}", where=str(path.parent), next_step=again) from None
    except pa.ArrowInvalid as error:
        raise ContractError(f"not a Parquet file: {error}", where=str(path), next_step=again) from None
    if not seen.equals(logs.SCHEMAS[name]):
        expected = {f"{field.name} {field.type}" for field in logs.SCHEMAS[name]}
        differing = sorted(expected.symmetric_difference(f"{field.name} {field.type}" for field in seen))
        raise ContractError(f"other columns than expected: {', '.join(differing)}", where=str(path), next_step=again)


ADAPTER = Adapter(name="simulated", doc=__doc__, days=days, read=read, read_until=replayed(read))
