"""The one way to a Spark session, the same under `reelfeed run`, spark-submit and the tests."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from core.java import java_home
from core.java_start import start_options
from core.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FIXED = {
    # Delta's readers want microseconds, and every timestamp in the lake is UTC.
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # Rows that lie together by user need not move again to be joined by user and tag.
    "spark.sql.requireAllClusterKeysForCoPartition": "false",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "20000",
    # A row may be a user with all their candidates: by rows alone, batches and Python's memory would grow with users.
    "spark.sql.execution.arrow.maxBytesPerBatch": "16m",
    # Sizes are of compressed files and shuffles: 10 MB, Spark's default, may be gigabytes in memory, and a broadcast
    # fails the job where they don't fit. What is known to be small the code broadcasts by name.
    "spark.sql.autoBroadcastJoinThreshold": "1m",
}

BARRIER = {
    # A cluster may still be starting; two looks tell whether it is.
    "spark.scheduler.barrier.maxConcurrentTasksCheck.interval": "2s",
    "spark.scheduler.barrier.maxConcurrentTasksCheck.maxFailures": "2",
    # A second attempt at a barrier stage waits without end where the machine that was lost does not come back.
    "spark.stage.maxConsecutiveAttempts": "1",
}
"""What an application whose tasks must all run at once needs, so that it fails soon and with a word. Its other stages
get one attempt too: shuffle files that are lost fail it, and Airflow runs the job again."""


def spark_properties(settings: Settings) -> dict[str, str]:
    """Returns the Spark properties of `settings`: what a session is built with, and what spark-submit is given."""
    local = {}
    if settings.spark.master.startswith("local"):
        local = {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            # On one machine a job to list files costs more than listing them.
            "spark.sql.sources.parallelPartitionDiscovery.threshold": "10000",
        }
    return {
        **FIXED,
        **local,
        "spark.driver.memory": settings.spark.driver_memory,
        "spark.sql.shuffle.partitions": str(settings.spark.shuffle_partitions),
        **settings.spark.extra,
    }


def session(settings: Settings, name: str) -> SparkSession:
    """Returns the running Spark session, or starts one called `name`.

    Under spark-submit the master is the submitter's. Python workers run this interpreter.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    # Spinning OpenMP threads would take the cores from Spark's own.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("JAVA_HOME", str(java_home(settings.home_path)))
    os.environ.setdefault("SPARK_SUBMIT_OPTS", start_options())
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName(name)
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        builder = builder.master(settings.spark.master)
    for key, value in spark_properties(settings).items():
        builder = builder.config(key, value)
    spark: SparkSession = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark
