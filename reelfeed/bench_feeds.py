"""`make bench`, the feeds' part: from candidates to the store for many users, by the night's own jobs, at two sizes.

A small simulated world is learnt from; then its users stand as often as it takes in every table that knows users, and
the five jobs that make feeds run on that, each in a process of its own as in Airflow, run as
`python -m reelfeed.bench_feeds WHAT …`, which prints what it found as JSON. Seconds are of the whole job, the start of
its Spark among them; those of the processor are of all its processes, so that other work on the machine weighs little.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from core.contract import Finding
from core.errors import ReelfeedError
from core.lake import Lake
from core.recipe import Recipe, load_recipe
from core.run import Request, run_jobs
from core.settings import Settings, load_settings, with_home
from core.store import open_store
from core.table import Table
from core.tables.feeds import TABLE as FEEDS
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.machine_factors import TABLE as MACHINE_FACTORS
from core.tables.source_models import TABLE as SOURCE_MODELS
from core.tables.users import TABLE as USERS
from reelfeed.bench import measure
from reelfeed.bench_export import clocks, spent
from sim.world import WorldConfig

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

RECIPE = "for_you"
WORLD = WorldConfig(users=400, videos=2_000, authors=200, tags=30)
DAYS = 9
NIGHT = WORLD.first_day + timedelta(days=DAYS - 1)
LEARNING = ("ingest_events", "build_features", "fit_machine", "build_training_set", "train_ranker", "fit_sources")
JOBS = ("propose_candidates", "score_candidates", "build_feed", "publish_feeds", "export_feeds")
OF_USERS = ("user", "follower", "member")
"""Parts of the sources' models, and of the machine's factors, whose rows are of users."""
FEW, MANY = 25_000, 100_000
CORES = 2
ASKED_MEMORY = 1.1


def bench_feeds(runs: int, users: tuple[int, int] = (FEW, MANY)) -> str:
    """Makes feeds for both numbers of `users`, `runs` times each, and returns the medians as Markdown.

    Raises CalledProcessError where a job fails.
    """
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as base:
        measure(found, __name__, "learn", "learn", base)
        for count in users * runs:
            with tempfile.TemporaryDirectory() as home:
                measure(found, __name__, f"{count} grow", "grow", base, home, count)
                for job in JOBS:
                    measure(found, __name__, f"{count} {job}", job, base, home, count)
    return table({key: statistics.median(values) for key, values in found.items()}, users)


def learn(base: Path) -> dict[str, float]:
    """Makes the small world's logs and an installation below `base` that has learnt from them; returns the seconds.

    Its first ranker is made champion by hand: how good it is, is not the question here.
    """
    from jobs._registry import all_jobs
    from reelfeed.promote import promote
    from sim.logs import write_days

    began = time.monotonic()
    days = [WORLD.first_day + timedelta(days=i) for i in range(DAYS)]
    write_days(WORLD, str(base / "logs"), days)
    settings, recipe = _settings(base, base), load_recipe(RECIPE)
    run_jobs(all_jobs(), LEARNING, Request(NIGHT, days[0], recipe, "simulated", str(base / "logs")), settings)
    promote(settings, recipe, 1, NIGHT, "for a benchmark")
    return {"s": time.monotonic() - began}


def grow(base: Path, home: Path, users: int) -> dict[str, float]:
    """Publishes what the jobs read of `base` into the lake of `home`, for `users` users; returns how many copies.

    Raises ReelfeedError where the ids of the small world's users have gaps, since copies could then meet.
    """
    from pyspark.sql import functions as F

    from core.spark import session

    spark, source, target = session(_settings(base, base), "bench"), Lake(str(base / "lake")), Lake(str(home / "lake"))
    known = source.read(spark, USERS, [NIGHT]).agg(F.count("user_id"), F.max("user_id")).collect()[0]
    if known[0] != known[1] + 1:
        raise ReelfeedError(f"{known[0]} users, but the highest id is {known[1]}", where=source.path(USERS))
    for each in inputs():
        days = source.days(each) if each is IMPRESSIONS else [NIGHT]
        if source.exists(each):
            rows = source.read(spark, each, days)
            grown = multiplied(rows, each, known[0], users)
            target.publish(grown, each, days, validate=_as_seen, job="bench", seconds=float, reads={})
    return {"copies": users / known[0]}


def inputs() -> list[Table]:
    """Returns the tables that JOBS read and do not write."""
    from jobs._registry import all_jobs

    jobs = [all_jobs()[name] for name in JOBS]
    written = {table.name for job in jobs for table in job.writes}
    return list({table.name: table for job in jobs for table in job.reads if table.name not in written}.values())


def multiplied(rows: DataFrame, of: Table, known: int, users: int) -> DataFrame:
    """Returns `rows` of table `of` for users 0 to `users` − 1: those of user u also as u + known, u + 2 · known, ….

    `rows` knows users 0 to `known` − 1. Rows that are of no user are returned as they are.
    """
    from pyspark.sql import functions as F

    if of in (SOURCE_MODELS, MACHINE_FACTORS):
        is_of_user = F.col("part").isin(*OF_USERS)
        return rows.where(~is_of_user).unionByName(_copied(rows.where(is_of_user), "entity_id", known, users))
    return _copied(rows, "user_id", known, users) if "user_id" in of.column_names else rows


def _copied(rows: DataFrame, column: str, known: int, users: int) -> DataFrame:
    from pyspark.sql import functions as F

    first: Column = F.explode(F.sequence(F.lit(0), F.lit(users - 1), F.lit(known)))
    copies = rows.withColumn("first_of_copy", first).withColumn(column, F.col(column) + F.col("first_of_copy"))
    return copies.where(F.col(column) < users).drop("first_of_copy")


def _as_seen(_: DataFrame, __: Table, seen: list[Finding]) -> list[Finding]:
    """Returns what one pass over the rows found: no key of a copy can be that of another."""
    return seen


def work(name: str, base: Path, home: Path, users: int) -> dict[str, float]:
    """Runs the job `name` in `home`; returns its rows for each user, and its seconds by the clock and the processor.

    Raises ReelfeedError where, after the last of JOBS, the store does not serve a feed for every one of `users`.
    """
    from jobs._registry import all_jobs

    settings, recipe = _settings(base, home), load_recipe(RECIPE)
    began = clocks()
    done = run_jobs(all_jobs(), [name], Request(NIGHT, NIGHT, recipe, "simulated", ""), settings)
    told = spent(began)
    if name == JOBS[-1]:
        _check_served(settings, recipe, users)
    return {"rows": sum(one.days[str(NIGHT)].rows for one in done[-1:]) / users, **told}


def _check_served(settings: Settings, recipe: Recipe, users: int) -> None:
    import pyarrow.compute as pc

    from models.handoff import current

    fed = pc.count_distinct(Lake(settings.lake).read_arrow(FEEDS, [NIGHT], ["user_id"])["user_id"]).as_py()
    if fed != users or current(open_store(settings.store), recipe.name) is None:
        raise ReelfeedError(f"{fed:,} of {users:,} users have a feed, or it is not served", where=settings.store)


def _settings(base: Path, home: Path) -> Settings:
    """Returns the local profile with its home in `home` and the models of `base`."""
    return replace(with_home(load_settings("local"), home), mlflow_uri=f"sqlite:///{base / 'mlflow.db'}")


def table(medians: dict[str, float], users: tuple[int, int]) -> str:
    """Returns the medians as Markdown: seconds, users a second and core, and memory, beside what is asked of it."""
    few, many = users

    def peak(count: int, jobs: Sequence[str] = JOBS) -> float:
        return max(medians[f"{count} {job} peak"] for job in jobs)

    def row(told: str, jobs: Sequence[str]) -> str:
        cells = [told]
        for count in users:
            wall, processor = (sum(medians[f"{count} {job} {key}"] for job in jobs) for key in ("s", "cpu"))
            memory = f"{peak(count, jobs) / 2**20:,.0f}"
            cells += [f"{wall:,.0f}", f"{processor:,.0f}", f"{count / wall / CORES:,.1f}", memory]
        return f"| {' | '.join([*cells, f'{peak(many, jobs) / peak(few, jobs):.2f}'])} |"

    rows = [medians[f"{many} {job} rows"] for job in JOBS[:3]]
    of_size = " | ".join(f"{count:,} users: s | s of processor | users per s and core | peak MiB" for count in users)
    lines = [
        f"Spark `local[{CORES}]`, {load_settings('local').spark.driver_memory} of heap; each of "
        f"{few / medians[f'{few} grow copies']:.0f} users stands {medians[f'{few} grow copies']:.0f} and "
        f"{medians[f'{many} grow copies']:.0f} times over. Rows for each user: {rows[0]:.0f} candidates, {rows[1]:.0f} "
        f"scored, {rows[2]:.0f} slots.",
        "",
        f"| job | {of_size} | peak × |",
        f"|---|{'---|' * 9}",
        *[row(job, [job]) for job in JOBS],
        row("all five, one after the other", JOBS),
        "",
        "| | × | asked |",
        "|---|---|---|",
        f"| peak memory of all processes, {many:,} users ÷ {few:,} | {peak(many) / peak(few):.2f} "
        f"| at most {ASKED_MEMORY} |",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    # The home is the benchmark's own.
    os.environ.pop("REELFEED_HOME", None)
    what, base, *rest = sys.argv[1:]
    if what == "learn":
        print(json.dumps(learn(Path(base))))
    else:
        home, users = Path(rest[0]), int(rest[1])
        print(json.dumps(grow(Path(base), home, users) if what == "grow" else work(what, Path(base), home, users)))
