"""How Spark's Java starts quickly and quietly: classes read from an archive, warnings and errors alone.

Run as a program it builds the archive: one small Spark job, whose classes Java writes out as it ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from core.java import java_home
from core.settings import ROOT, load_settings

ARCHIVE = Path(sys.prefix) / "spark-classes.jsa"
SHORT_JOB = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m"
"""Compile with C1 alone: for jobs of minutes, full compiling costs more than it brings. C1's own code cache, 48 MB, is
too small for Spark: once full, Java interprets."""

CONF = ROOT / "conf"


def start_options() -> str:
    """Returns Java options for the variable SPARK_SUBMIT_OPTS, which every Spark driver's Java takes.

    Java checks the archive against itself and Spark's jars, and goes without where they differ.
    """
    archive = [f"-XX:SharedArchiveFile={ARCHIVE}", "-Xshare:auto", "-Xlog:cds=off"] if ARCHIVE.exists() else []
    log = f"-Dlog4j2.configurationFile={(CONF / 'log4j2.properties').as_uri()}"
    return " ".join([*archive, log])


def build_archive() -> bool:
    """Builds the class archive beside the Python environment; returns whether there is one (not every Java can)."""
    java = java_home(load_settings().home_path.absolute())
    draft = ARCHIVE.with_name(f"{ARCHIVE.name}.{os.getpid()}")
    options = f"-XX:ArchiveClassesAtExit={draft} {SHORT_JOB} -Xlog:cds=off -Xlog:cds+dynamic=off"
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(
            [Path(sys.executable).parent / "spark-submit", "--master", "local[2]", __file__, scratch],
            cwd=ROOT,
            env=os.environ | {"JAVA_HOME": str(java), "SPARK_SUBMIT_OPTS": options, "PYSPARK_PYTHON": sys.executable},
            capture_output=True,
            check=False,
        )
    if draft.exists():
        draft.replace(ARCHIVE)
    return ARCHIVE.exists()


def _exercise(folder: str) -> None:
    """Does a little of all that jobs do, so that their classes are loaded: files, joins, windows, arrays, Arrow."""
    from pyspark.sql import SparkSession, Window
    from pyspark.sql import functions as F

    spark = SparkSession.builder.config("spark.ui.enabled", "false").getOrCreate()
    rows = spark.range(2000).select(
        F.col("id").alias("user_id"),
        (F.col("id") % 7).alias("video_id"),
        F.current_date().alias("ds"),
        F.rand(1).alias("value"),
    )
    rows.write.partitionBy("ds").mode("overwrite").parquet(folder)
    read = spark.read.schema(rows.schema).parquet(folder)
    showings = F.count(F.lit(1)).alias("showings")
    by_video = read.groupBy("video_id").agg(showings, F.bit_xor(F.xxhash64("user_id")).alias("hash"))
    best_first = Window.partitionBy("video_id").orderBy(F.desc("value"))
    joined = read.join(by_video, "video_id", "left").withColumn("rank", F.row_number().over(best_first))
    ranked = F.sort_array(F.collect_list(F.struct("rank", "showings"))).alias("ranked")
    lists = joined.where("rank <= 50").groupBy("user_id").agg(ranked)
    one_each = lists.select("user_id", F.explode("ranked").alias("one"))
    one_each.mapInArrow(lambda batches: batches, "user_id long, one struct<rank:int,showings:long>").count()
    lists.collect()
    spark.stop()


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    if len(sys.argv) > 1:
        _exercise(sys.argv[1])
    else:
        built = build_archive()
        print(
            f"Spark starts from {ARCHIVE}" if built else "This Java keeps no class archive: Spark starts without one."
        )
