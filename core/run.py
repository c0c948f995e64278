"""Runs jobs: one Spark session, one day or many, in the order that their tables ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from core.errors import ReelfeedError, UsageError, unknown
from core.job import Job, JobContext, in_order, log
from core.lake import Lake, Publish
from core.recipe import Recipe
from core.settings import Settings


@dataclass(frozen=True)
class Request:
    """What a run is asked for: the days `first` to `ds`, for which recipe, from which logs.

    `experiment` is what a run outside of the nightly ones changes, as its jobs read it; empty where nothing. `hour`, 1
    to 24, is that of a run for a day in progress; 0 for any other.
    """

    ds: date
    first: date
    recipe: Recipe
    logs: str
    logs_dir: str
    experiment: str = ""
    hour: int = 0

    @property
    def days(self) -> tuple[date, ...]:
        return tuple(self.first + timedelta(days=i) for i in range((self.ds - self.first).days + 1))


def run_jobs(known: Mapping[str, Job], names: Sequence[str], request: Request, settings: Settings) -> list[Publish]:
    """Runs the jobs `names` of `known` in the order of their tables and returns everything they published.

    A job that spans gets all days of the request at once, any other runs for `ds`. Raises UsageError for an unknown
    job or an empty range, and whatever a job raises, with the job's name in front.
    """
    for name in names:
        if name not in known:
            raise unknown("job", name, known, where="jobs/")
    if request.first > request.ds:
        raise UsageError(f"the range is empty: it begins on {request.first} and ends on {request.ds}")
    needs = {key: value for name in names for key, value in known[name].spark.items()}
    settings = replace(settings, spark=replace(settings.spark, extra=needs | settings.spark.extra))
    published: list[Publish] = []
    for job in in_order({name: known[name] for name in names}):
        days = request.days if job.spans else (request.ds,)
        span = str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}"
        log.info("── %s · %s", job.name, span)
        asked = (request.recipe, request.logs, request.logs_dir, Lake(settings.lake), request.experiment, request.hour)
        context = JobContext(job, days, settings, *asked)
        try:
            job.run(context)
        except ReelfeedError as error:
            error.add_note(f"in job {job.name}, {span}")
            raise
        missing = {table.name for table in job.writes} - {publish.table for publish in context.published}
        if missing:
            raise UsageError(f"job {job.name} declares but did not write {', '.join(sorted(missing))}")
        published += context.published
    return published
