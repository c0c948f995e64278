"""Airflow, MLflow and the feed page on this machine alone: started together, watched, and stopped together."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from core.errors import ReelfeedError, UsageError
from core.settings import ROOT, Settings
from reelfeed.airflow_env import ADMIN, BIN, LOOPBACK, airflow_environment, airflow_home, prepare_database
from reelfeed.processes import end_sessions

HEALTHY_WITHIN_SECONDS = 180
LOOK_EVERY_SECONDS = 1.0
AIRFLOW_PARTS = ("metadatabase", "scheduler", "dag_processor", "triggerer")


@dataclass(frozen=True)
class Ports:
    """Where each of the three listens, on loopback."""

    airflow: int
    mlflow: int
    feed: int


def serve(settings: Settings, ports: Ports) -> None:
    """Starts Airflow, MLflow and the feed page on loopback, prints where they are, ends them on Ctrl-C or SIGTERM.

    Raises UsageError for a port in use, ReelfeedError where one of them does not come up or ends by itself.
    """
    for name, port, option in (
        ("Airflow", ports.airflow, "--airflow-port"),
        ("MLflow", ports.mlflow, "--mlflow-port"),
        ("the feed page", ports.feed, "--feed-port"),
    ):
        _require_free(name, port, option)
    prepare_database(settings)
    processes: dict[str, subprocess.Popen[str]] = {}
    handlers = {number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for name, command in _commands(settings, ports).items():
            processes[name] = _start(name, command, settings, ports.airflow)
        _wait_until_healthy(processes, settings, ports)
        print(_welcome(settings, ports), flush=True)
        while True:
            _require_running(processes, settings)
            time.sleep(LOOK_EVERY_SECONDS)
    except KeyboardInterrupt:
        print("stopping …", flush=True)
    finally:
        # A second Ctrl-C must not leave half of them running.
        for number in handlers:
            signal.signal(number, signal.SIG_IGN)
        end_sessions(processes.values())
        for number, handler in handlers.items():
            signal.signal(number, handler)
    print("stopped")


def password(settings: Settings) -> str:
    """Returns the password that Airflow made up for its one user."""
    file = airflow_home(settings) / "simple_auth_manager_passwords.json.generated"
    return str(json.loads(file.read_text("utf-8"))[ADMIN])


def _commands(settings: Settings, ports: Ports) -> dict[str, list[str]]:
    airflow, artifacts = str(BIN / "airflow"), settings.home_path.absolute() / "mlartifacts"
    return {
        "api-server": [airflow, "api-server"],
        # Their log servers would listen on every address; the API server reads the same files.
        "scheduler": [airflow, "scheduler", "--skip-serve-logs"],
        "triggerer": [airflow, "triggerer", "--skip-serve-logs"],
        "dag-processor": [airflow, "dag-processor"],
        "mlflow": [
            *(str(BIN / "mlflow"), "server", "--host", LOOPBACK, "--port", str(ports.mlflow), "--workers", "1"),
            *("--backend-store-uri", settings.tracking_uri, "--artifacts-destination", str(artifacts)),
        ],
        "feed-page": [str(BIN / "reelfeed"), "feed-page", "--port", str(ports.feed)],
    }


def _start(name: str, command: list[str], settings: Settings, airflow_port: int) -> subprocess.Popen[str]:
    environment = airflow_environment(settings, airflow_port) | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    log = _log(name, settings)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as file:
        return subprocess.Popen(
            command,
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def _wait_until_healthy(processes: dict[str, subprocess.Popen[str]], settings: Settings, ports: Ports) -> None:
    print("starting Airflow, MLflow and the feed page …", flush=True)
    until = time.monotonic() + HEALTHY_WITHIN_SECONDS
    others = [f"http://{LOOPBACK}:{port}/health" for port in (ports.mlflow, ports.feed)]
    while not (_airflow_is_healthy(ports.airflow) and all(map(_answers, others))):
        _require_running(processes, settings)
        if time.monotonic() > until:
            raise ReelfeedError(
                f"Airflow, MLflow and the feed page were not healthy within {HEALTHY_WITHIN_SECONDS} s",
                where=str(_log("*", settings)),
                next_step="read those logs; then reelfeed doctor",
            )
        time.sleep(LOOK_EVERY_SECONDS)


def _airflow_is_healthy(port: int) -> bool:
    said = _answers(f"http://{LOOPBACK}:{port}/api/v2/monitor/health")
    health = json.loads(said) if said else {}
    return all(health.get(part, {}).get("status") == "healthy" for part in AIRFLOW_PARTS)


def _answers(url: str) -> str:
    """Returns what `url` answers, nothing where it does not."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 (an address of our own)
            return str(response.read().decode())
    except (urllib.error.URLError, OSError):
        return ""


def _require_running(processes: dict[str, subprocess.Popen[str]], settings: Settings) -> None:
    for name, process in processes.items():
        code = process.poll()
        if code is not None:
            log = _log(name, settings)
            lines = log.read_text("utf-8", errors="replace").splitlines()
            last = next((line for line in reversed(lines) if line.strip()), "it said nothing")
            raise ReelfeedError(
                f"{name} ended with exit code {code}: {last}", where=str(log), next_step="reelfeed doctor"
            )


def _require_free(name: str, port: int, option: str) -> None:
    with socket.socket() as probe:
        # As the servers do; else an address that was just given up would count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            raise UsageError(
                f"port {port} is in use, {name} cannot have it",
                where=LOOPBACK,
                next_step=f"end what listens there, or choose another with {option}",
            ) from None


def _log(name: str, settings: Settings) -> Path:
    return airflow_home(settings) / "logs" / f"{name}.log"


def _welcome(settings: Settings, ports: Ports) -> str:
    return "\n".join(
        [
            "",
            f"  Airflow  http://{LOOPBACK}:{ports.airflow}   user {ADMIN}, password {password(settings)}",
            f"  MLflow   http://{LOOPBACK}:{ports.mlflow}   no login; this machine alone reaches it",
            f"  feeds    http://{LOOPBACK}:{ports.feed}   no login; for reading only",
            f"  logs     {_log('*', settings)}",
            "",
            "  Ctrl-C stops all three.",
        ]
    )


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
