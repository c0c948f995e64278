"""The `reelfeed` command line. Exit codes: 0 good, 1 contract broken or data missing, 2 usage, 70 unforeseen."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from dataclasses import replace
from datetime import date
from pathlib import Path

import click

from core.errors import ReelfeedError, UsageError, unknown
from core.recipe import load_recipe
from core.settings import Settings, load_settings
from reelfeed.options import (
    DAY,
    ds_option,
    logs_dir_option,
    logs_folder,
    logs_option,
    recipe_of,
    recipe_option,
    request_of,
)
from reelfeed.studies import STUDIES

UNFORESEEN = 70
"""Exit code of a fault that nobody described: the only one after which another try may help."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--profile", default="", help="Profile of conf/, default: REELFEED_PROFILE, else local.")
@click.pass_context
def cli(context: click.Context, profile: str) -> None:
    """Every night, from yesterday's impressions to tomorrow's feeds."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    logging.getLogger("reelfeed").setLevel(logging.INFO)
    context.obj = load_settings(profile)
    if profile:
        # What this process starts must run by the same profile.
        os.environ["REELFEED_PROFILE"] = profile


@cli.command()
@click.argument("names", nargs=-1, required=True, metavar="JOB...")
@ds_option
@click.option("--from", "first", type=DAY, default=None, help="First day, for jobs that span days; default: --ds.")
@recipe_option
@logs_option
@logs_dir_option
@click.option("--experiment", default="", metavar="JSON", help="What run_experiment changes: models/experiment.py.")
@click.option(
    "--hour",
    type=click.IntRange(1, 24),
    default=None,
    help="Of --ds, a day in progress, for the jobs of hourly_refresh.",
)
@click.pass_obj
def run(
    settings: Settings,
    /,
    names: tuple[str, ...],
    ds: date,
    first: date | None,
    experiment: str,
    hour: int | None,
    **logs: str,
) -> None:
    """Run jobs, in the order of their tables, in one Spark session."""
    from core.run import run_jobs
    from jobs._registry import all_jobs
    from jobs._today import JOBS as OF_AN_HOUR
    from models.experiment import read_experiment

    if experiment and "run_experiment" not in names:
        raise UsageError("--experiment is for job run_experiment alone", next_step="name that job, or leave it out")
    if hour and not set(names) <= set(OF_AN_HOUR):
        raise UsageError("--hour is for the jobs of an hour alone", choices=OF_AN_HOUR, next_step="leave it out")
    read_experiment(experiment)
    request = replace(request_of(settings, ds, first or ds, **logs), experiment=experiment, hour=hour or 0)
    run_jobs(all_jobs(), names, request, settings)


@cli.command()
@click.argument("names", nargs=-1, metavar="[JOB...]")
def plan(names: tuple[str, ...]) -> None:
    """Print jobs in the order they run, with the tables that each reads and writes."""
    from core.job import in_order
    from jobs._registry import all_jobs

    known = all_jobs()
    for name in names:
        if name not in known:
            raise unknown("job", name, known, where="jobs/")
    for job in in_order({name: known[name] for name in names or known}):
        click.echo(f"{job.name}: {' '.join(job.doc.split())}")
        click.echo(f"  reads  {', '.join(table.name for table in job.reads) or '-'}")
        click.echo(f"  writes {', '.join(table.name for table in job.writes) or '-'}")
        if job.keeps:
            click.echo(f"  keeps  {', '.join(table.name for table in job.keeps)}")


@cli.command()
@click.argument("name", required=False)
@click.option("--restore", type=int, default=None, metavar="VERSION", help="Make an older version the current one.")
@click.pass_obj
def tables(settings: Settings, name: str | None, restore: int | None) -> None:
    """List the tables, or show one: columns, versions and who wrote them; or restore an older version."""
    from core.lake import Lake
    from jobs._registry import all_tables
    from reelfeed.tables import describe, overview

    lake, known = Lake(settings.lake), all_tables()
    if name is None:
        if restore is not None:
            raise UsageError("--restore needs the name of a table", choices=known)
        click.echo(overview(lake, known))
        return
    if name not in known:
        raise unknown("table", name, known)
    if restore is not None:
        click.echo(f"{name}: version {restore} is current again, as version {lake.restore(known[name], restore)}")
    click.echo(describe(lake, known[name]))


@cli.command()
@click.argument("name", required=False)
@click.option("--ds", type=DAY, help="The day of the snapshot.")
@click.option("--user", "user_id", type=int, help="Whose value, of a feature about users.")
@click.option("--video", "video_id", type=int, help="The same, about videos.")
@click.option("--author", "author_id", type=int, help="The same, about authors.")
@click.option("--tag", "tag_id", type=int, help="The same, about tags.")
@click.option("--surface", type=int, help="The same, about surfaces.")
@click.option("--duration-bucket", type=int, help="The same, about buckets of length.")
@click.pass_obj
def features(settings: Settings, /, name: str | None, ds: date | None, **entity: int | None) -> None:
    """List the features, or show one (or a group): an entity's values, and the sums and priors they are made of."""
    from core.lake import Lake
    from reelfeed.features import explain, overview

    given = {column: number for column, number in entity.items() if number is not None}
    if name is None:
        if given or ds:
            raise UsageError("the options need the NAME of a feature or group", next_step="reelfeed features lists all")
        click.echo(overview())
        return
    click.echo(explain(Lake(settings.lake), name, ds, given))


@cli.command()
@click.option("--to", "last", type=DAY, required=True, help="Last day to make.")
@click.option(
    "--days", type=click.IntRange(1), default=None, help="How many days; default: history_days of the profile."
)
@click.option("--logs-dir", default="", help="Where to write them.")
@click.pass_obj
def simulate(settings: Settings, last: date, days: int | None, logs_dir: str) -> None:
    """Make the logs of the simulated world, up to a day."""
    from reelfeed.night import make_world

    made = make_world(settings, last, days or settings.history_days, logs_folder(settings, "simulated", logs_dir))
    click.echo(f"{made} new days of simulated logs are in {logs_folder(settings, 'simulated', logs_dir)}")


@cli.command()
@ds_option
@recipe_option
@click.option("--user", type=int, default=None, help="Whose feed to show; default: one with a long history.")
@click.pass_obj
def report(settings: Settings, ds: date, recipe: str, user: int | None) -> None:
    """Print a night: the funnel, the ranker against popularity, one user's feed with its reasons."""
    from jobs.write_report import night_report

    click.echo(night_report(settings, ds, load_recipe(recipe), user))


@cli.command()
@recipe_option
@click.option("--to", default="", help="Number or night (YYYY-MM-DD) of a publication; default: the one before.")
@click.option("--reason", required=True, help="Why, for the ledger (table publications).")
@click.pass_obj
def rollback(settings: Settings, recipe: str, to: str, reason: str) -> None:
    """Serve an earlier publication of feeds again."""
    from reelfeed.rollback import roll_back

    click.echo(roll_back(settings, load_recipe(recipe), to, reason))


@cli.command()
@click.pass_obj
def vacuum(settings: Settings) -> None:
    """Delete the files of old versions of all tables, but of none that is served or can be rolled back to."""
    from jobs._registry import all_tables
    from reelfeed.vacuum import vacuum as swept

    for line in swept(settings, all_tables()):
        click.echo(line)


@cli.command()
@logs_option
@logs_dir_option
@click.option("--ds", type=DAY, default=None, help="The night's day; default: the last day of real logs.")
@recipe_option
@click.pass_obj
def night(settings: Settings, logs: str, logs_dir: str, ds: date | None, recipe: str) -> None:
    """The whole thing once: logs, history, training, then tonight's nightly_feed through Airflow."""
    from reelfeed.night import whole_night

    whole_night(settings, logs, logs_folder(settings, logs, logs_dir), ds, recipe_of(recipe))


@cli.command()
@recipe_option
@click.option("--model", "version", type=int, required=True, help="Its version in MLflow's registry.")
@ds_option
@click.option("--reason", required=True, help="Why the gate is overruled; the ledger keeps it.")
@click.pass_obj
def promote(settings: Settings, recipe: str, version: int, ds: date, reason: str) -> None:
    """Make a model champion by hand, with a reason."""
    from reelfeed.promote import promote as put_in_place

    click.echo(put_in_place(settings, load_recipe(recipe), version, ds, reason))


@cli.command()
@click.pass_obj
def doctor(settings: Settings) -> None:
    """Say what is wrong with this environment and how to mend it."""
    from reelfeed.doctor import check

    found = check(settings)
    for finding in found:
        click.echo(str(finding))
    sys.exit(1 if any(finding.problem for finding in found) else 0)


@cli.command()
@click.option("--airflow-port", type=int, default=8080, show_default=True)
@click.option("--mlflow-port", type=int, default=5000, show_default=True)
@click.option("--feed-port", type=int, default=5050, show_default=True)
@click.pass_obj
def ui(settings: Settings, airflow_port: int, mlflow_port: int, feed_port: int) -> None:
    """Start Airflow, MLflow and the feed page on this machine alone, until Ctrl-C."""
    from reelfeed.ui import Ports, serve

    serve(settings, Ports(airflow_port, mlflow_port, feed_port))


@cli.command("feed-page")
@click.option("--port", type=click.IntRange(0, 65535), default=5050, show_default=True, help="0: any free one.")
@click.pass_obj
def feed_page(settings: Settings, port: int) -> None:
    """Serve a page of this machine alone on which to look at users' feeds, until Ctrl-C."""
    from reelfeed.feed_page import serve

    serve(settings, port)


for study in STUDIES:
    cli.add_command(study)


def main() -> None:
    """Runs the command line; a fault that a person can mend is printed without a traceback."""
    try:
        cli.main(standalone_mode=False)
    except ReelfeedError as error:
        for note in getattr(error, "__notes__", []):
            click.echo(note, err=True)
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except Exception:
        traceback.print_exc()
        sys.exit(UNFORESEEN)


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    main()
