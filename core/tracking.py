"""MLflow: where runs, models and their artifacts are kept, and one run per key, continued when its night runs again.

A run may have children, one for each part of it that is looked at by itself, and names the table versions it rests on.
"""

from __future__ import annotations

import json
import logging
import math
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import MissingDataError
from core.lake import Publish
from core.settings import ROOT, Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure
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
    name: str = "",
) -> Iterator[ActiveRun]:
    """Yields the active run of `experiment` tagged with `key`: the one there is, continued, else a new one.

    It is shown as `name`, by default its key. `params` are what the run's figures follow from: a run whose parameters
    were others keeps them, gives up its key and a new run takes it. `tags` are set anew each time. A body that raises
    leaves the run marked as failed.
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
    with mlflow.start_run(run_id=run_id, experiment_id=experiment_id, run_name=name or key) as active:
        mlflow.set_tags({KEY: key, **(tags or {})})
        mlflow.log_params(wanted)
        yield active


@dataclass(frozen=True)
class Child:
    """A part of a run that is looked at by itself: `figures` by the path of their artifact."""

    name: str
    params: Mapping[str, object] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)


def log_children(settings: Settings, parent: ActiveRun, children: Sequence[Child]) -> None:
    """Logs each of `children` to the run of its name below `parent`: the one there is, continued, else a new one.

    A metric that is NaN is left out.
    """
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

    client, parent_id, experiment_id = connect(settings), parent.info.run_id, parent.info.experiment_id
    found = client.search_runs([experiment_id], f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent_id}'")
    run_ids = {run.data.tags[MLFLOW_RUN_NAME]: run.info.run_id for run in found}
    for child in children:
        run_id = run_ids.get(child.name)
        if run_id is None:
            tags = {MLFLOW_PARENT_RUN_ID: parent_id}
            run_id = client.create_run(experiment_id, tags=tags, run_name=child.name).info.run_id
            client.set_terminated(run_id)
        client.log_batch(
            run_id,
            metrics=[Metric(name, value, 0, 0) for name, value in child.metrics.items() if not math.isnan(value)],
            params=[Param(name, str(value)) for name, value in child.params.items()],
            tags=[RunTag(name, value) for name, value in child.tags.items()],
        )
        for path, figure in child.figures.items():
            client.log_figure(run_id, figure, path)


def log_tables(settings: Settings, active: ActiveRun, lake: str, reads: Sequence[Publish]) -> None:
    """Names the tables that `active` rests on, a dataset each: its content hash, version, rows and what it was made of.

    Of a publish of many days the last is named. `lake` is the address of the lake.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    datasets = []
    for read in reads:
        ds, partition = max(read.days.items())
        source = {"path": f"{lake}/{read.table}", "delta_table_version": read.version}
        profile = {"ds": ds, "rows": partition.rows, "version": read.version, "made_of": read.reads}
        entity = Dataset(
            read.table, partition.hash, "delta_table", json.dumps(source), profile=json.dumps(profile, sort_keys=True)
        )
        datasets.append(DatasetInput(entity, [InputTag("mlflow.data.context", "training")]))
    connect(settings).log_inputs(active.info.run_id, datasets=datasets)


def commit(root: Path = ROOT) -> str:
    """Returns the git commit that is checked out in `root`, as its files say; empty where `root` is no checkout."""
    try:
        folder = common = root / ".git"
        if folder.is_file():
            # A worktree's own folder holds its HEAD, the repository's the branches.
            folder = (root / folder.read_text("utf-8").removeprefix("gitdir:").strip()).resolve()
            shared = folder / "commondir"
            common = (folder / shared.read_text("utf-8").strip()).resolve() if shared.exists() else folder
        head = (folder / "HEAD").read_text("utf-8").strip()
        if not head.startswith("ref: "):
            return head
        branch = head.removeprefix("ref: ")
        if (common / branch).exists():
            return (common / branch).read_text("utf-8").strip()
        packed = (common / "packed-refs").read_text("utf-8").splitlines()
        return next((line.split()[0] for line in packed if line.endswith(f" {branch}")), "")
    except OSError:
        return ""


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
