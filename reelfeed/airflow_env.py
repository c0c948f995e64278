"""Airflow, set up for one installation of reelfeed: its environment, and a DAG run from start to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from core.errors import ReelfeedError
from core.java import java_home
from core.settings import ROOT, Settings

ADMIN = "admin"
LOOPBACK = "127.0.0.1"
BIN = Path(sys.executable).parent


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
    spark = {"conn_type": "spark", "host": settings.spark.master}
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
        "PYTHONPATH": str(ROOT),
        "REELFEED_HOME": str(settings.home_path.absolute()),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps({**spark, "extra": {"deploy-mode": "client", "spark-binary": "spark-submit"}}),
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
    """Creates Airflow's database, or brings it up to this Airflow's version. Raises ReelfeedError where that fails."""
    airflow_home(settings).mkdir(parents=True, exist_ok=True)
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
            where=str(airflow_home(settings) / "airflow.db"),
            next_step="reelfeed doctor",
        )


def run_dag(dag_id: str, conf: Mapping[str, object], settings: Settings) -> None:
    raise NotImplementedError


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no message"
