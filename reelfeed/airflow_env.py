"""Airflow, set up for one installation of reelfeed: its environment, and a DAG run from start to end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TextIO

from core.errors import ReelfeedError
from core.java import java_home
from core.java_start import SHORT_JOB, start_options
from core.settings import ROOT, Settings
from reelfeed.processes import end_sessions

ADMIN = "admin"
LOOPBACK = "127.0.0.1"
BIN = Path(sys.executable).parent

TASK_STARTS = re.compile(r"\[DAG TEST\] starting task_id=(\w+)")
SKIPPED = re.compile(r"Skipping task\.")
ALERT = re.compile(r"ALERT owner=\S+ dag=\S+ task=(\w+)")
JOB_LINE = re.compile(r"^\S+ \[\w+ *\] (.*?) +\[airflow\.task\.hooks\.[\w.]+SparkSubmitHook\]")
REPORTED = re.compile(r"^\d\d:\d\d:\d\d (?!WARN|ERROR|── )")
RAISED = re.compile(r"^[\w.]+(?:Error|Exception): (.+)")
ERROR_GOES_ON = re.compile(r"^(where|choices|next): ")


def airflow_home(settings: Settings) -> Path:
    """Returns the folder of Airflow's database, logs and passwords."""
    return settings.home_path.absolute() / "airflow"


def airflow_environment(settings: Settings, port: int = 8080) -> dict[str, str]:
    """Returns the whole environment of an Airflow process of this installation, whose API server has `port`.

    Nothing in it listens beyond loopback. Tasks find spark-submit, Java and Python where this process does.
    Raises MissingDataError where there is no Java.
    """
    home = airflow_home(settings)
    address = f"http://{LOOPBACK}:{port}"
    java = java_home(settings.home_path.absolute())
    on_this_machine = settings.spark.master.startswith("local")
    extra = {"deploy-mode": "client", "spark-binary": "spark-submit"}
    spark = {"conn_type": "spark", "host": settings.spark.master, "extra": extra}
    inherited = {
        name: value
        for name, value in os.environ.items()
        # Bytecode halves the start of every task; other Airflow settings would mix two installations.
        if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith(("AIRFLOW__", "AIRFLOW_CONN_"))
    }
    return {
        **inherited,
        "PATH": os.pathsep.join([str(BIN), str(java / "bin"), os.environ.get("PATH", os.defpath)]),
        "JAVA_HOME": str(java),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_SUBMIT_OPTS": f"{start_options()} {SHORT_JOB if on_this_machine else ''}".strip(),
        "SPARK_LOCAL_IP": os.environ.get(
            "SPARK_LOCAL_IP", LOOPBACK if settings.spark.master.startswith("local") else ""
        ),
        "PYTHONPATH": str(ROOT),
        "REELFEED_HOME": str(settings.home_path.absolute()),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps(spark),
        "AIRFLOW__API__HOST": LOOPBACK,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__INSTANCE_NAME": "reelfeed",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
    }


def prepare_database(settings: Settings) -> None:
    """Creates Airflow's database, or brings it up to this Airflow's version; once done, it costs nothing.

    Raises ReelfeedError where that fails.
    """
    home = airflow_home(settings)
    home.mkdir(parents=True, exist_ok=True)
    stamp = home / f"migrated-{version('apache-airflow')}"
    if stamp.exists() and (home / "airflow.db").exists():
        return
    done = subprocess.run(
        [BIN / "airflow", "db", "migrate"],
        env=airflow_environment(settings),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ReelfeedError(
            f"Airflow's database could not be prepared: {_last_line(done.stderr or done.stdout)}",
            where=str(home / "airflow.db"),
            next_step="reelfeed doctor",
        )
    stamp.touch()


def run_dag(dag_id: str, conf: Mapping[str, object], settings: Settings) -> None:
    """Runs one DAG from its first task to its last, here and now, with the params `conf`.

    Task starts and what the jobs report are printed; the whole output stands in Airflow's log folder.
    Raises ReelfeedError that names the failed task, what its job said, and the log.
    """
    prepare_database(settings)
    name = "_".join(str(part) for part in (dag_id, conf.get("ds", "")) if part)
    log = airflow_home(settings) / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [BIN / "airflow", "dags", "test", dag_id, "--conf", json.dumps(dict(conf))],
        env=airflow_environment(settings),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        with log.open("w", encoding="utf-8") as file:
            told = _follow(process.stdout, file)
        code = process.wait()
    finally:
        end_sessions([process])
    if code or told.failed:
        raise ReelfeedError(
            "\n".join([f"task {told.failed or told.task or '(none started)'} of {dag_id} failed", *told.why]),
            where=str(log),
            next_step="mend that and run again: what was published stays, nothing half-made is visible",
        )


@dataclass
class _Told:
    """What the output of a DAG run has told so far; `why` holds the last words of the task that ran last."""

    task: str = ""
    failed: str = ""
    why: list[str] = field(default_factory=list)


def _follow(output: Iterable[str], log: TextIO) -> _Told:
    """Copies `output` to `log`, prints task starts and the jobs' own lines, and returns what matters of it."""
    told = _Told()
    for line in output:
        log.write(line)
        if started := TASK_STARTS.search(line):
            told.task, told.why = started.group(1), []
            print(f"── {told.task}", flush=True)
        elif alert := ALERT.search(line):
            told.failed = alert.group(1)
        elif SKIPPED.search(line):
            print(f"   skipped: {''.join(told.why[:1]).removeprefix('error: ')}", flush=True)
        elif said := JOB_LINE.match(line):
            _take(told, said.group(1))
        elif raised := RAISED.match(line):
            told.why = told.why or [raised.group(1)]
    return told


def _take(told: _Told, said: str) -> None:
    """Takes one line of a job. Of its error, Airflow's log keeps every line but not how it was indented."""
    if REPORTED.match(said):
        print(f"   {said}", flush=True)
    elif told.why and told.why[0].startswith("error: "):
        told.why += [f"  {said}"] if ERROR_GOES_ON.match(said) else []
    else:
        told.why = [said]


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no message"
