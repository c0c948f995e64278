"""Every DAG: it loads without Spark, keeps the shape that was reviewed, and refuses params that make no sense."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.settings import ROOT, load_settings
from reelfeed.airflow_env import airflow_environment

GOLDEN = ROOT / "tests" / "golden" / "dags.txt"
HEAVY = ("pyspark", "pandas", "lightgbm", "mlflow", "great_expectations", "deltalake", "numpy", "sklearn")

PRELUDE = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ModuleNotFoundError(f"{{name}} is not there, as on a scheduler", name=name)
sys.meta_path.insert(0, Absent())
import json
from airflow.dag_processing.dagbag import DagBag
bag = DagBag({str(ROOT / "dags")!r})
"""

SHAPES = """
def shape(dag):
    params = {name: {"default": dag.params.get_param(name).value, **dag.params.get_param(name).schema}
              for name in dag.params}
    tasks = {task.task_id: {"after": sorted(task.upstream_task_ids), "writes": [o.name for o in task.outlets],
                            "reads": [i.name for i in task.inlets],
                            "retries": task.retries, "timeout": str(task.execution_timeout), "owner": task.owner,
                            "arguments": task.application_args} for task in dag.tasks}
    assets = getattr(dag.timetable, "asset_condition", None)
    cron = getattr(dag.timetable, "expression", "when triggered")
    schedule = ", ".join(asset.name for asset in assets.objects) if assets else cron
    return {"schedule": schedule, "tags": sorted(dag.tags), "catchup": dag.catchup,
            "at_once": dag.max_active_runs, "doc": dag.doc_md, "params": params, "tasks": tasks}
print("RESULT", json.dumps({"errors": bag.import_errors, "dags": {d.dag_id: shape(d) for d in bag.dags.values()}}))
"""


def in_a_scheduler(program: str, home: Path) -> Any:
    """What `program` reports from a child process in which nothing heavy can be imported, DAG files loaded."""
    environment = airflow_environment(load_settings()) | {"AIRFLOW_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + program],
        env=environment | {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db"},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    told = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert told, done.stdout + done.stderr
    return json.loads(told[-1].removeprefix("RESULT "))


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return in_a_scheduler(SHAPES, tmp_path_factory.mktemp("airflow"))


def test_dags_load_where_spark_cannot_be_imported(loaded: Any) -> None:
    assert loaded["errors"] == {}


def test_the_dag_ids_are_the_file_names(loaded: Any) -> None:
    files = {file.stem for file in (ROOT / "dags").glob("*.py") if not file.name.startswith("_")}
    assert set(loaded["dags"]) == files


def test_every_task_is_a_job_or_a_command_and_waits_for_the_writers_of_what_it_reads(loaded: Any) -> None:
    for dag in loaded["dags"].values():
        writer = {table: name for name, task in dag["tasks"].items() for table in task["writes"]}
        for name, task in dag["tasks"].items():
            assert any((ROOT / folder / f"{name}.py").exists() for folder in ("jobs", "reelfeed"))
            assert set(task["after"]) == {writer[table] for table in task["reads"] if table in writer} - {name}


def test_training_follows_what_the_nightly_run_publishes(loaded: Any) -> None:
    nightly = loaded["dags"]["nightly_feed"]["tasks"]["build_features"]["writes"]
    assert loaded["dags"]["train_models"]["schedule"] in nightly


def test_every_dag_says_what_to_do_when_it_fails(loaded: Any) -> None:
    for name, dag in loaded["dags"].items():
        assert f"### {name} · an Airflow DAG" in dag["doc"]
        assert "failed?**" in dag["doc"].lower()


def as_text(dags: Any) -> str:
    lines = [
        "# The DAGs as reviewed. After a change that is meant:",
        "# UPDATE_GOLDEN=1 make test TESTS=tests/contract/test_every_dag.py",
    ]
    for name, dag in sorted(dags.items()):
        lines += ["", f"{name}  schedule={dag['schedule']}  catchup={dag['catchup']}  runs at once={dag['at_once']}"]
        lines += [f"  tags {', '.join(dag['tags'])}"]
        for param, facts in dag["params"].items():
            told = {key: value for key, value in facts.items() if key != "title"}
            lines.append(f"  param {param} {json.dumps(told, sort_keys=True)}")
        for task, facts in dag["tasks"].items():
            after = ", ".join(facts["after"]) or "-"
            limits = f"retries={facts['retries']} timeout={facts['timeout']} owner={facts['owner']}"
            lines.append(f"  {task}  after: {after}  {limits}")
            lines.append(f"    {' '.join(facts['arguments'])}")
    return "\n".join(lines) + "\n"


def test_the_dags_have_the_shape_that_was_reviewed(loaded: Any) -> None:
    seen = as_text(loaded["dags"])
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(seen, "utf-8")
    assert seen == GOLDEN.read_text("utf-8")


def test_what_may_be_left_empty_is_not_asked_for_by_the_form(loaded: Any) -> None:
    """Airflow's form keeps its button shut while a text is empty that may not be null."""
    for name, dag in loaded["dags"].items():
        for param, told in dag["params"].items():
            if "Empty:" in told.get("description", ""):
                assert "null" in told["type"], f"{name}: {param}"


BAD_PARAMS = (
    ("ds", "yesterday"),
    ("ds", "2026-13-01"),
    ("ds", 20260101),
    ("recipe", "for_me"),
    ("logs", "csv"),
    ("logs_dir", 7),
    ("hour", 0),
    ("hour", 25),
    ("hour", "noon"),
)

REFUSALS = f"""
from copy import deepcopy
from airflow.sdk.exceptions import ParamValidationError
def refusal(param, value):
    try:
        deepcopy(bag.dags["hourly_refresh"].params)[param] = value
    except ParamValidationError as error:
        return str(error)
    return ""
print("RESULT", json.dumps([refusal(param, value) for param, value in {BAD_PARAMS!r}]))
"""


def test_a_param_that_makes_no_sense_is_refused_by_name(tmp_path: Path) -> None:
    refusals = in_a_scheduler(REFUSALS, tmp_path)
    for (name, value), said in zip(BAD_PARAMS, refusals, strict=True):
        assert f"Invalid input for param {name}" in said, f"{name}={value!r} was taken"


DAYS = """
from datetime import datetime, timezone
from types import SimpleNamespace as Given
from dags._kit import day, hour, misspelt
def run(start=None, end=None):
    after = datetime(2026, 1, 9, 2, 30, tzinfo=timezone.utc)
    return Given(data_interval_start=start, data_interval_end=end, run_after=after)
def moment(run, **params):
    context = {"params": {"ds": None, "hour": None, **params}, "dag_run": run}
    return [day(context), hour(context)]
def at(day, hour): return datetime(2026, 1, day, hour, 10, tzinfo=timezone.utc)
def event(ds): return Given(extra={"ds": ds})
start = datetime(2026, 1, 7, 2, 30, tzinfo=timezone.utc)
none, given = {"ds": None}, {"ds": "2026-01-01"}
print("RESULT", json.dumps({
    "param": day({"params": given, "dag_run": run(start), "triggering_asset_events": {"t": [event("2026-01-05")]}}),
    "event": day({"params": none, "dag_run": run(start), "triggering_asset_events": {"t": [event("2026-01-05")]}}),
    "interval": day({"params": none, "dag_run": run(start), "triggering_asset_events": {}}),
    "neither": day({"params": none, "dag_run": run()}),
    "misspelt": misspelt({"recipe": "for_you", "date": "2026-01-01"}, ["ds", "recipe"]),
    "first hour": moment(run(at(7, 0), at(7, 4))),
    "afternoon": moment(run(at(7, 13), at(7, 14))),
    "midnight": moment(run(at(7, 23), at(8, 0))),
    "hour asked": moment(run(at(7, 13), at(7, 14)), hour=9),
    "day asked": moment(run(at(7, 13), at(7, 14)), ds="2026-01-01"),
    "no interval": moment(run()),
}))
"""


def test_a_run_is_for_the_day_and_hour_asked_else_announced_else_of_its_interval(tmp_path: Path) -> None:
    assert in_a_scheduler(DAYS, tmp_path) == {
        "param": "2026-01-01",
        "event": "2026-01-05",
        "interval": "2026-01-07",
        "neither": "2026-01-08",
        "misspelt": ["date"],
        "first hour": ["2026-01-07", 4],
        "afternoon": ["2026-01-07", 14],
        "midnight": ["2026-01-07", 24],
        "hour asked": ["2026-01-07", 9],
        "day asked": ["2026-01-01", 24],
        "no interval": ["2026-01-08", 24],
    }
