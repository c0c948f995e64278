"""What test_cluster_training.py runs against a Spark cluster, in a process of its own: trains, fails, tells.

Arguments: the master's URL, a home folder, and the file that what was seen is written to, as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pyspark import TaskContext

from core.errors import ReelfeedError
from core.settings import ROOT, load_settings, with_home
from core.spark import session
from jobs.train_ranker import JOB
from models.boosting import Boost, Plan, Rows, grow
from models.examples import Examples
from models.heads import HEADS, Head, head_labels
from models.metrics import auc
from models.ranker_spark import on_cluster
from models.ranker_training import PARAMETERS, fit

ROWS, WORKERS = 40_000, 2
NAMES = tuple(f"feature_{i}" for i in range(10))
CODES = (NAMES[-1],)
TAUGHT = HEADS[:4]


class Deadly(tuple[Head, ...]):
    """Heads of which the second is never trained: the task of the last rank kills itself as it comes to it."""

    def __iter__(self) -> Iterator[Head]:
        first, *others = super().__iter__()
        yield first
        task = TaskContext.get()
        if task is not None and task.partitionId() == WORKERS - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        yield from others


def made() -> Examples:
    """Rows whose labels follow sums, products and waves of seven features and a code, some of them unknown; of a
    thousand viewers one objects. Every third stands where half as many look."""
    generator = np.random.default_rng(7)
    matrix = generator.normal(size=(ROWS, len(NAMES))).astype(np.float32)
    matrix[:, -1] = generator.integers(0, 5, ROWS)
    liking = matrix[:, 0] + matrix[:, 1] * matrix[:, 2] + np.sin(2 * matrix[:, 3]) + (matrix[:, -1] == 2) * matrix[:, 4]
    chance = 1 / (1 + np.exp(np.abs(matrix[:, 5]) - liking))
    matrix[generator.random(matrix.shape) < 0.03] = np.nan
    looked = np.where(np.arange(ROWS) % 3 == 0, 0.5, 1.0)
    labels = {
        "long_view": generator.random(ROWS) < chance * looked,
        "like": generator.random(ROWS) < chance / 5 * looked,
        "watch_seconds": 30 * chance * looked + 8 * generator.normal(size=ROWS),
        "not_interested": generator.random(ROWS) < 0.001,
    }
    ids = np.arange(ROWS)
    return Examples(
        features=matrix,
        labels=np.column_stack([labels[name] for name in head_labels(TAUGHT)]).astype(np.float32),
        user=ids % 100,
        video=ids % 37,
        shown_at=ids,
        snapshot=np.zeros(ROWS, np.int32),
        part=np.repeat(np.array([0, 1, 2], np.int8), [ROWS * 6 // 10, ROWS * 2 // 10, ROWS * 2 // 10]),
        popularity=chance.astype(np.float64),
        weight=np.ones(ROWS, np.float32),
        examined=looked.astype(np.float32),
        label_names=head_labels(TAUGHT),
    )


def trained(rows: Examples, boost: Boost) -> dict[str, Any]:
    """Returns the id of the ranker fitted by `boost`, and for the first two heads the AUC on rows held out."""
    ranker, report = fit(
        rows, features=NAMES, categorical=CODES, heads=TAUGHT, neutral={}, seed=1, threads=1, boost=boost
    )
    held_out = rows.part == 2
    predictions, labels = ranker.predict(rows.features[held_out]), rows.labels[held_out].astype(np.float64)
    return {
        "model": ranker.model_id,
        "auc": [auc(labels[:, place], predictions[:, place]) for place in (0, 1)],
        "rounds": {head.head: head.rounds for head in report.heads},
    }


def fault(rows: Examples, heads: tuple[Head, ...], boost: Boost) -> dict[str, Any]:
    """Returns what the training of `heads` by `boost` on a few rows fails with."""
    few = Rows(rows.features[:4000], rows.labels[:4000], rows.weight[:4000])
    try:
        boost(few, few, Plan(NAMES, CODES, heads, (31,) * len(heads), {**PARAMETERS, "seed": 1}, 50, 10))
    except ReelfeedError as error:
        return {"said": str(error), "exit_code": error.exit_code}
    raise AssertionError("nothing failed")


def main(master: str, home: str, target: str) -> None:
    """Does all that needs the cluster in one Spark application, and writes what it saw."""
    local = with_home(load_settings("local"), Path(home))
    extra = {
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.executor.memory": "512m",
        "spark.executorEnv.PYTHONPATH": str(ROOT),
    }
    spark = session(replace(local, spark=replace(local.spark, master=master, extra={**extra, **JOB.spark})), "client")
    rows, two = made(), on_cluster(spark, local.lake, WORKERS)
    seen = {
        "here": trained(rows, grow),
        "cluster": trained(rows, two),
        "again": trained(rows, two),
        "too_few_slots": fault(rows, TAUGHT, on_cluster(spark, local.lake, WORKERS + 1)),
        "killed": fault(rows, Deadly(TAUGHT), two),
        "left": sorted(os.listdir(local.lake)),
    }
    Path(target).write_text(json.dumps(seen), "utf-8")
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
