"""MLflow: where runs, models and their artifacts are kept, and one run per key, continued when its night runs again."""

from __future__ import annotations

import logging
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from core.errors import MissingDataError
from core.settings import ROOT, Settings

if TYPE_CHECKING:
    from mlflow import ActiveRun, MlflowClient

KEY = "reelfeed.key"
SUPERSEDED = "reelfeed.superseded_key"
ANSWER_SECONDS = 3.0
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # A dead server should be an error within seconds; the default tries for minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "GIT_PYTHON_REFRESH": "quiet",
}


def connect(settings: Settings) -> MlflowClient:
    """Returns a client of the tracking server of `settings`, and makes it MLflow's own for this process.

    Raises MissingDataError where a server is named that does not answer.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    uri = settings.tracking_uri
    if uri.startswith("http"):
        _await_answer(uri)
    else:
        settings.home_path.mkdir(parents=True, exist_ok=True)
    import mlflow

    for noisy in ("alembic", "mlflow"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    mlflow.set_tracking_uri(uri)
    return mlflow.MlflowClient(uri)


@contextmanager
def run(
    settings: Settings,
    experiment: str,
    key: str,
    *,
    params: Mapping[str, object] | None = None,
    tags: Mapping[str, str] | None = None,
) -> Iterator[ActiveRun]:
    """Yields the active run of `experiment` tagged with `key`: the one there is, continued, else a new one.

    `params` are what the run's figures follow from: a run whose parameters were others keeps them, gives up its key
    and a new run takes it. `tags` are set anew each time. A body that raises leaves the run marked as failed.
    """
    import mlflow

    client = connect(settings)
    experiment_id = _experiment(client, settings, experiment)
    wanted = {name: str(value) for name, value in (params or {}).items()}
    found = client.search_runs([experiment_id], f"tags.`{KEY}` = '{key}'", max_results=1)
    run_id: str | None = found[0].info.run_id if found else None
    if run_id and any(found[0].data.params.get(name, value) != value for name, value in wanted.items()):
        client.set_tag(run_id, SUPERSEDED, key)
        client.delete_tag(run_id, KEY)
        run_id = None
    with mlflow.start_run(run_id=run_id, experiment_id=experiment_id, run_name=key) as active:
        mlflow.set_tags({KEY: key, **(tags or {})})
        mlflow.log_params(wanted)
        yield active


def commit() -> str:
    """Returns the git commit of the code that runs, empty outside a git checkout."""
    try:
        told = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return told.stdout.strip()


def _experiment(client: MlflowClient, settings: Settings, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    # A server keeps artifacts where it was told to; beside a database they would else fall into the working folder.
    local = not settings.tracking_uri.startswith("http")
    location = (settings.home_path / "mlartifacts" / name).absolute().as_uri() if local else None
    return str(client.create_experiment(name, artifact_location=location))


def _await_answer(uri: str) -> None:
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=ANSWER_SECONDS):  # noqa: S310
            return
    except urllib.error.HTTPError:
        return  # It answers, if only to say no: MLflow's own error will say more.
    except (OSError, ValueError) as error:
        raise MissingDataError(
            f"the MLflow server does not answer: {error}",
            where=f"mlflow_uri = {uri!r} in the profile's conf file",
            next_step="start the server (`make ui`), or leave mlflow_uri empty to use a file of its own",
        ) from None
