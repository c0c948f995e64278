"""Jobs in, DAG out: the only file that speaks Airflow. What a job reads and writes draws the arrows."""

from __future__ import annotations

import json
import logging
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG, Asset, BaseOperator, CronDataIntervalTimetable, Param
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from jinja2 import pass_context

from core.errors import NothingToDoError, ReelfeedError, UsageError, unknown
from core.job import Job
from core.recipe import recipe_names
from core.settings import ROOT, load_settings
from core.spark import spark_properties
from core.table import Table
from dags._moment import day, hour
from jobs import adapters
from jobs._registry import all_jobs

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger("reelfeed.alert")

APPLICATION = ROOT / "reelfeed" / "__main__.py"
FIRST_NIGHT = datetime(2020, 1, 1, tzinfo=UTC)
RETRY_AFTER = timedelta(minutes=1)
RETRY_AFTER_AT_MOST = timedelta(minutes=10)

ENDINGS = {
    **dict.fromkeys((ReelfeedError.exit_code, UsageError.exit_code), AirflowFailException),
    NothingToDoError.exit_code: AirflowSkipException,
}
"""What an exit code of `reelfeed` ends a task with, where another try would only repeat it: a broken contract or a
wrong argument fail it, nothing to do skips it."""


FORMATS = sorted(module.name for module in pkgutil.iter_modules(adapters.__path__) if module.name[0] != "_")

PARAMS = {
    "ds": Param(
        None,
        type=["null", "string"],
        format="date",
        title="Day",
        description="The day whose logs to take in, YYYY-MM-DD. Empty: the day that this run is for.",
    ),
    "recipe": Param("for_you", enum=recipe_names(), title="Recipe", description="A file of conf/feeds."),
    "logs": Param("simulated", enum=FORMATS, title="Logs", description="Format of the raw logs."),
    "logs_dir": Param(
        "",
        type=["null", "string"],
        title="Folder of the logs",
        description="Empty: where `reelfeed simulate` writes.",
    ),
}
"""What a run can be told, by form, REST or `airflow dags trigger --conf`."""

HOUR = Param(
    None,
    type=["null", "integer"],
    minimum=1,
    maximum=24,
    title="Hour",
    description="Of the day: what had arrived when it began. Empty: the hour that this run is for; of a day given, 24.",
)


class RunJob(SparkSubmitOperator):
    """One job by spark-submit. A fault that only a person can mend fails the task at once, with no further try; a job
    that finds nothing to do is skipped, and with it what waits for it."""

    def execute(self, context: Context) -> None:
        """Submits the job; raises AirflowFailException for a fault to mend, AirflowException for one to try again,
        AirflowSkipException where there is nothing to do."""
        known = context["dag"].params
        strangers = misspelt(context["dag_run"].conf or {}, known)
        if strangers:
            raise AirflowFailException(f"unknown params {', '.join(strangers)}; there are {', '.join(known)}")
        try:
            super().execute(context)
        except AirflowException as error:
            code = re.search(r"Error code is: (\d+)", str(error))
            if code and int(code.group(1)) in ENDINGS:
                said = re.search(r"^error: .*", str(error), re.MULTILINE | re.DOTALL)
                raise ENDINGS[int(code.group(1))](said.group() if said else str(error)) from error
            raise


class RunCommand(BaseOperator):
    """One command of `reelfeed`, each argument its own: nothing that a form holds reaches a shell."""

    template_fields = ("application_args",)

    def __init__(self, *, application_args: Sequence[str], **others: Any) -> None:
        super().__init__(**others)
        self.application_args = application_args

    def execute(self, context: Context) -> None:
        """Runs the command; raises as RunJob does."""
        strangers = misspelt(context["dag_run"].conf or {}, self.dag.params)
        if strangers:
            raise AirflowFailException(f"unknown params {', '.join(strangers)}; there are {', '.join(self.dag.params)}")
        command = [sys.executable, str(APPLICATION), *self.application_args]
        done = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        log.info("%s", done.stdout)
        if done.returncode:
            fault = ENDINGS.get(done.returncode, AirflowException)
            raise fault("".join(done.stdout.rpartition("error: ")[1:]) or f"exit code {done.returncode}")


def nightly(name: str, *, doc: str, owner: str, at: str, jobs: Sequence[str], tags: Sequence[str] = ()) -> DAG:
    """Returns the DAG `name` that runs `jobs` every night at `at` (HH:MM, UTC) for the day before.

    Raises UsageError for a job that no file of jobs/ declares.
    """
    hour, minute = (int(part) for part in at.split(":"))
    timetable = CronDataIntervalTimetable(f"{minute} {hour} * * *", timezone="UTC")
    return _dag(name, doc, owner, timetable, jobs, tags)


def hourly(name: str, *, doc: str, owner: str, minute: int, jobs: Sequence[str], tags: Sequence[str] = ()) -> DAG:
    """Returns the DAG `name` that runs `jobs` every hour, `minute` minutes later, for the day in progress until then.

    From the hour after that by which the night's feeds are served until midnight, which is hour 24 of the day before.
    Raises UsageError for a job that no file of jobs/ declares.
    """
    hours = f"0,{load_settings().publish_hour + 1}-23"
    timetable = CronDataIntervalTimetable(f"{minute} {hours} * * *", timezone="UTC")
    return _dag(name, doc, owner, timetable, jobs, tags, {"hour": HOUR}, ("--hour", "{{ hour() }}"))


def following(name: str, *, doc: str, owner: str, after: str, jobs: Sequence[str], tags: Sequence[str] = ()) -> DAG:
    """Returns the DAG `name` that runs `jobs` each time job `after` has published its tables, for the same day.

    A job publishes all its tables or fails, so the first of them stands for all, and one night is one run.
    Raises UsageError for a job that no file of jobs/ declares.
    """
    return _dag(name, doc, owner, [asset(_declared([after])[after].writes[0])], jobs, tags)


def triggered(
    name: str,
    *,
    doc: str,
    owner: str,
    jobs: Sequence[str],
    tags: Sequence[str] = (),
    params: Mapping[str, Param] | None = None,
    option: str = "",
) -> DAG:
    """Returns the DAG `name` that runs `jobs` when someone asks for it, by form, REST or command line.

    The form has `params` too. Those of them that a run was given reach the jobs as one JSON object, by `option` of
    `reelfeed run`: an argument of a process, which no shell reads.
    Raises UsageError for a job that no file of jobs/ declares.
    """
    return _dag(name, doc, owner, None, jobs, tags, params, (f"--{option}", "{{ given() }}") if option else ())


def text(title: str, doc: str, pattern: str) -> Param:
    """Returns a param for a line of text that `pattern` matches whole."""
    return Param("", type=["null", "string"], pattern=f"^{pattern}$", title=title, description=doc)


def some_of(choices: Sequence[str], title: str, doc: str) -> Param:
    """Returns a param for any number of `choices`."""
    items = {"type": "string", "enum": list(choices)}
    # The form offers what stands in examples; items are what is checked.
    return Param([], type=["null", "array"], items=items, examples=list(choices), title=title, description=doc)


def number(title: str, doc: str, minimum: float, maximum: float, *, whole: bool) -> Param:
    """Returns a param for a number within the bounds, inclusive, or none."""
    kind, bounds = "integer" if whole else "number", f"From {minimum:g} to {maximum:g}."
    return Param(
        None, type=["null", kind], minimum=minimum, maximum=maximum, title=title, description=f"{doc} {bounds}"
    )


def commanded(name: str, *, doc: str, owner: str, params: Mapping[str, Param], tags: Sequence[str] = ()) -> DAG:
    """Returns the DAG `name` that runs `reelfeed NAME` when someone asks for it, each of `params` an option of it."""
    with _outline(name, doc, owner, None, tags, params) as dag:
        RunCommand(
            task_id=name,
            doc_md=doc,
            application_args=[name, *[f"--{param}={{{{ params.{param} or '' }}}}" for param in params]],
            retries=2,
            retry_delay=RETRY_AFTER,
            execution_timeout=timedelta(minutes=10),
        )
    return dag


def asset(table: Table) -> Asset:
    """Returns the Airflow asset that stands for `table`."""
    return Asset(name=table.name, uri=f"reelfeed://lake/{table.name}", group="reelfeed")


def _outline(name: str, doc: str, owner: str, schedule: Any, tags: Sequence[str], params: Mapping[str, Param]) -> DAG:
    """Returns a DAG without tasks: what all of ours have in common."""
    return DAG(
        name,
        doc_md=doc,
        description=_first_sentence(doc),
        schedule=schedule,
        start_date=FIRST_NIGHT,
        catchup=False,
        max_active_runs=1,
        tags=["reelfeed", owner, *tags],
        params=deepcopy(dict(params)),
        user_defined_macros={"day": pass_context(day), "given": pass_context(given), "hour": pass_context(hour)},
        default_args={"owner": owner, "on_failure_callback": alert},
    )


def _dag(
    name: str,
    doc: str,
    owner: str,
    schedule: Any,
    names: Sequence[str],
    tags: Sequence[str],
    params: Mapping[str, Param] | None = None,
    arguments: Sequence[str] = (),
) -> DAG:
    declared = _declared(names)
    with _outline(name, doc, owner, schedule, tags, {**PARAMS, **(params or {})}) as dag:
        tasks = {job.name: _task(job, arguments) for job in declared.values()}
        writers = {table.name: job.name for job in declared.values() for table in job.writes}
        for job in declared.values():
            for writer in sorted({writers[table.name] for table in job.reads if table.name in writers} - {job.name}):
                tasks[writer] >> tasks[job.name]
    return dag


def _task(job: Job, arguments: Sequence[str]) -> RunJob:
    return RunJob(
        task_id=job.name,
        doc_md=job.doc,
        owner=job.owner,
        name=f"reelfeed {job.name}",
        application=str(APPLICATION),
        application_args=[
            *("run", job.name),
            *("--ds", "{{ day() }}"),
            *("--recipe", "{{ params.recipe }}"),
            *("--logs", "{{ params.logs }}"),
            *("--logs-dir", "{{ params.logs_dir or '' }}"),
            *arguments,
        ],
        conf=spark_properties(load_settings()),
        inlets=[asset(table) for table in job.reads],
        outlets=[asset(table) for table in job.writes],
        post_execute=announce_day,
        retries=job.retries,
        retry_delay=RETRY_AFTER,
        retry_exponential_backoff=2,
        max_retry_delay=RETRY_AFTER_AT_MOST,
        execution_timeout=timedelta(minutes=job.timeout_minutes),
    )


def misspelt(conf: Mapping[str, object], known: Iterable[str]) -> list[str]:
    """Returns the keys of a run's conf that are no param `known`: Airflow itself would pass over them in silence."""
    return sorted(conf.keys() - set(known))


def given(context: Mapping[str, Any]) -> str:
    """Returns as JSON what a run was given of its DAG's own params; what was left empty is not in it."""
    own = {name: value for name, value in context["params"].items() if name not in PARAMS}
    return json.dumps({name: value for name, value in own.items() if value not in (None, "", [])}, sort_keys=True)


def announce_day(context: Mapping[str, Any], result: Any = None) -> None:
    """Writes the day onto the asset events of a task that succeeded, so that a following DAG runs for the same one."""
    for outlet in context["task"].outlets:
        context["outlet_events"][outlet].extra["ds"] = day(context)


def alert(context: Mapping[str, Any]) -> None:
    """Logs the one line that an operator is to see when a task has failed for good."""
    instance = context["task_instance"]
    log.error(
        "ALERT owner=%s dag=%s task=%s day=%s try=%s: %s",
        *(context["task"].owner, instance.dag_id, instance.task_id, day(context), instance.try_number),
        str(context.get("exception")).partition("\n")[0],
    )


def _declared(names: Sequence[str]) -> dict[str, Job]:
    every = all_jobs()
    for name in names:
        if name not in every:
            raise unknown("job", name, every, where="jobs/")
    return {name: every[name] for name in names}


def _first_sentence(doc: str) -> str:
    text = next(part for part in doc.split("\n\n")[1:] if part.strip())
    return " ".join(text.split()).partition(". ")[0].rstrip(".") + "."
