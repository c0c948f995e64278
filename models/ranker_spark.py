"""Grows the boosters of all heads on a Spark cluster: LightGBM's own socket learner, in the tasks of one barrier stage.

The rows are dealt to the tasks through files; each task bins its own, and LightGBM sums their histograms over sockets.
The trees are not those of one process, since bins are found from each task's rows and sums are added in another order.
"""

from __future__ import annotations

import posixpath
import re
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import LostWorkerError, ReelfeedError
from core.lake import address
from models.boosting import Boost, Plan, Rows, RowsInFile, grow

if TYPE_CHECKING:
    import lightgbm
    import pyarrow
    from pyspark import BarrierTaskContext
    from pyspark.sql import SparkSession

SILENCE_MINUTES = 1
"""A peer that says nothing for so long is lost. LightGBM counts in minutes; a histogram takes seconds."""

TOO_FEW_SLOTS = "SPARK-24819"
"""What Spark says where a barrier stage has more tasks than can run at once."""

LOST = ("LightGBMError: Socket", "Python worker exited unexpectedly", "ExecutorLostFailure")
"""What Spark says where a task's peer, its own process or its executor is gone."""


def on_cluster(spark: SparkSession, scratch: str, workers: int) -> Boost:
    """Returns what grows boosters in `workers` tasks of `spark`'s cluster; same rows, plan and `workers`: same trees.

    `scratch` is a folder, or a store's address, that this process and every executor reach; what is written there is
    removed in the end. What it returns raises LostWorkerError where a task ended before the others, else ReelfeedError
    where the cluster has too few slots or a task failed.
    """

    def boost(train: Rows | RowsInFile, stop: Rows, plan: Plan) -> dict[str, lightgbm.Booster]:
        import lightgbm
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException

        folder = posixpath.join(scratch, f"training={uuid.uuid4().hex}")
        try:
            _deal(train, stop, folder, workers)
            texts = _texts(spark, folder, workers, plan)
        except (PySparkException, Py4JError) as error:
            raise _fault(str(error), spark, workers) from error
        finally:
            _remove(folder)
        boosters = {head: lightgbm.Booster(model_str=text) for head, text in texts.items()}
        for booster in boosters.values():
            booster.best_iteration = booster.current_iteration()
        return boosters

    return boost


def _deal(train: Rows | RowsInFile, stop: Rows, folder: str, workers: int) -> None:
    """Writes every `workers`-th row to learn from into a file of its own, and all rows to stop by into another.

    Each task stops by the same rows, since all must stop after the same tree.
    """
    from pyarrow import fs

    store, base = fs.FileSystem.from_uri(address(folder))
    store.create_dir(base)
    for name in (*map(str, range(workers)), "stop"):
        rows = stop if name == "stop" else train.every(int(name), workers)
        with store.open_output_stream(posixpath.join(base, f"{name}.npz")) as file:
            np.savez(file, **{name: array for name, array in vars(rows).items() if array is not None})


def _dealt(folder: str, name: str) -> Rows:
    from pyarrow import fs

    store, base = fs.FileSystem.from_uri(address(folder))
    with store.open_input_file(posixpath.join(base, f"{name}.npz")) as file, np.load(file) as arrays:
        return Rows(**arrays)


def _remove(folder: str) -> None:
    from pyarrow import fs

    store, base = fs.FileSystem.from_uri(address(folder))
    store.delete_dir(base)


def _texts(spark: SparkSession, folder: str, workers: int, plan: Plan) -> dict[str, str]:
    """Returns each head's booster as text, up to its best round, grown by `workers` tasks from the rows in `folder`."""
    driver, threads = str(spark.conf.get("spark.driver.host")), int(str(spark.conf.get("spark.task.cpus", "1")))

    def work(task: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        import pyarrow as pa
        from pyspark import BarrierTaskContext

        context = BarrierTaskContext.get()
        # Its one row is its number: read, since Spark keeps no Python process that leaves input unread.
        [rank] = [number for batch in task for number in batch["id"].to_pylist()]
        train, stop = _dealt(folder, str(rank)), _dealt(folder, "stop")
        with _connected(context, driver) as network:
            mine = replace(plan, parameters={**plan.parameters, **network, "num_threads": threads})
            boosters = grow(train, stop, mine)
        if rank == 0:
            texts = [booster.model_to_string(num_iteration=booster.best_iteration) for booster in boosters.values()]
            yield pa.RecordBatch.from_arrays([pa.array(boosters), pa.array(texts)], names=["head", "booster"])

    tasks = spark.range(0, workers, 1, workers)
    rows = tasks.mapInArrow(work, "head string, booster string", barrier=True).collect()
    return {row["head"]: row["booster"] for row in rows}


@contextmanager
def _connected(context: BarrierTaskContext, driver: str) -> Iterator[dict[str, Any]]:
    """Connects this task with its peers, gives the parameters to grow by, and disconnects it in the end.

    Each listens on a free port of the address by which it reaches `driver`.
    """
    import lightgbm

    # LightGBM connects a process by way of a booster: any will do.
    gate = lightgbm.Booster({"verbosity": -1}, lightgbm.Dataset(np.zeros((1, 1)), np.zeros(1)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route, socket.socket() as place:
        route.connect((driver, 9))  # of datagrams: nothing is sent, the system picks a route
        place.bind((route.getsockname()[0], 0))
        host, port = place.getsockname()
        machines = context.allGather(f"{host}:{port}")
    gate.set_network(",".join(machines), port, SILENCE_MINUTES, len(machines))
    try:
        yield {"tree_learner": "data", "num_machines": len(machines)}
    finally:
        gate.free_network()


def _fault(said: str, spark: SparkSession, workers: int) -> ReelfeedError:
    """Returns the error for what Spark `said` of a barrier stage that failed."""
    context = spark.sparkContext
    where = f"application {context.applicationId} on {context.master}"
    if TOO_FEW_SLOTS in said:
        scala = context._jsc.sc()
        slots = scala.maxNumConcurrentTasks(scala.resourceProfileManager().defaultResourceProfile())
        return ReelfeedError(
            f"training asks for {workers} tasks at once, and this Spark cluster has slots for {slots}",
            where=where,
            next_step=f"give the cluster room for {workers} tasks, or set train_workers in the profile's conf file to "
            f"{max(slots, 1)} (1 is one process, without the cluster)",
        )
    if any(sign in said for sign in LOST):
        return LostWorkerError(
            f"one of the {workers} tasks that train the ranker was lost, and the training with it",
            where=where,
            next_step="the executors' logs of that application say why (killed for its memory?); run the job again",
        )
    raised = re.search(r"Traceback \(most recent call last\):\n(?: .*\n)+(.+)", said)
    return ReelfeedError(
        f"training in {workers} tasks failed: {raised.group(1) if raised else ' '.join(said.splitlines()[:2])}",
        where=where,
        next_step="mend what that says; `home` and `lake_uri` must be within every executor's reach",
    )
