"""The ranker is fitted by the tasks of a real Spark cluster, two workers on this machine, as it is in one process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyspark
import pytest

from core.java import java_home
from core.java_start import SHORT_JOB
from core.settings import ROOT

DEADLINE_SECONDS = 120
SPARK_HOME = Path(pyspark.__file__).parent
CLIENT = Path(__file__).with_name("cluster_client.py")


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """Yields the URL of the master of two workers with one core each, all of it on this machine alone."""
    environment = os.environ | {
        "JAVA_HOME": str(java_home(folder)),
        "SPARK_HOME": str(SPARK_HOME),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": SHORT_JOB,
    }
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, *arguments: str) -> Path:
        log = folder / f"{name}.log"
        command = [SPARK_HOME / "bin" / "spark-class", *arguments, "--host", "127.0.0.1", "--webui-port", "0"]
        with log.open("wb") as out:
            started.append(
                subprocess.Popen(command, env=environment, stdout=out, stderr=out, cwd=folder, start_new_session=True)
            )
        return log

    def said(log: Path, words: str) -> str:
        """Returns the line of `log` with `words`, once it is there."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline and all(process.poll() is None for process in started):
            found = [line for line in log.read_text("utf-8").splitlines() if words in line]
            if found:
                return found[0]
            time.sleep(0.05)
        raise AssertionError(f"{log.name} never said {words!r}:\n{log.read_text('utf-8')}")

    try:
        log = start("master", "org.apache.spark.deploy.master.Master", "--port", "0")
        master = said(log, "Starting Spark master at spark://").split()[-1]
        worker = ("org.apache.spark.deploy.worker.Worker", master, "--cores", "1", "--memory", "512m")
        logs = [start(name, *worker, "--work-dir", str(folder / name)) for name in ("first", "second")]
        for log in logs:
            said(log, "Successfully registered with master")
        yield master
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What cluster_client.py saw. A process of its own, since this one may hold a Spark session already."""
    folder = tmp_path_factory.mktemp("cluster")
    with cluster(folder) as master:
        done = subprocess.run(
            [sys.executable, CLIENT, master, folder / "home", folder / "seen.json"],
            env=os.environ | {"PYTHONPATH": str(ROOT), "SPARK_LOCAL_IP": "127.0.0.1"},
            capture_output=True,
            text=True,
            timeout=3 * DEADLINE_SECONDS,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "seen.json").read_text("utf-8"))


def test_it_ranks_rows_held_out_as_well_as_one_process_does(seen: dict[str, Any]) -> None:
    here, there = seen["here"], seen["cluster"]
    assert here["auc"][0] > 0.75
    assert there["auc"] == pytest.approx(here["auc"], abs=0.003)
    assert all(rounds > 1 for head, rounds in there["rounds"].items() if head != "not_interested")


def test_same_rows_and_workers_make_the_same_model(seen: dict[str, Any]) -> None:
    assert seen["again"] == seen["cluster"]
    assert seen["cluster"]["model"] != seen["here"]["model"], "it was one process that trained"


def test_a_task_that_is_killed_ends_the_training_with_one_clear_error(seen: dict[str, Any]) -> None:
    said = seen["killed"]["said"]
    assert said.startswith("one of the 2 tasks that train the ranker was lost")
    assert "application app-" in said
    assert "run the job again" in said
    assert seen["killed"]["exit_code"] == 70, "Airflow is to try it again"


def test_more_workers_than_slots_are_refused_with_both_numbers(seen: dict[str, Any]) -> None:
    said = seen["too_few_slots"]["said"]
    assert said.startswith("training asks for 3 tasks at once, and this Spark cluster has slots for 2")
    assert "set train_workers in the profile's conf file to 2" in said
    assert seen["too_few_slots"]["exit_code"] == 1


def test_nothing_is_left_of_the_rows_that_were_dealt(seen: dict[str, Any]) -> None:
    assert seen["left"] == []
