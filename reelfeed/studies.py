"""Commands that study what was made and change none of it: why a video, position bias, experiments, benchmarks."""

from __future__ import annotations

from datetime import date

import click

from core.errors import UsageError
from core.recipe import load_recipe
from core.settings import Settings
from reelfeed.options import BENCHES, DAY, LOGS, ds_option, logs_dir_option, logs_option, recipe_option, request_of


@click.command()
@click.option("--user", "user_id", type=int, required=True, help="For whom.")
@click.option("--video", "video_id", type=int, required=True, help="Which video.")
@ds_option
@recipe_option
@click.pass_obj
def explain(settings: Settings, user_id: int, video_id: int, ds: date, recipe: str) -> None:
    """Tell why a user was given a video, or where it fell: sources, features, heads, value, slot."""
    from reelfeed.explain import explain as told

    click.echo(told(settings, load_recipe(recipe), ds, user_id, video_id))


@click.command()
@ds_option
@click.option("--from", "first", type=DAY, required=True, help="First day of the impressions.")
@click.pass_obj
def examination(settings: Settings, ds: date, first: date) -> None:
    """Tell how much each place of a session is looked at, learnt from random slots."""
    from reelfeed.examination import told

    click.echo(told(settings, first, ds))


@click.command()
@ds_option
@recipe_option
@click.pass_obj
def rules(settings: Settings, ds: date, recipe: str) -> None:
    """Measure what rules cost in predicted value and give in variety, on a night's candidates.

    Of the recipe's rules each is left out, and others are added; writes docs/exploration.md.
    """
    from reelfeed.documents import write_block
    from reelfeed.rule_costs import rule_costs

    click.echo(write_block("exploration.md", "rules", rule_costs(settings, ds, load_recipe(recipe))))


@click.command()
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Fits of each way.")
@click.pass_obj
def debiasing(settings: Settings, seeds: int) -> None:
    """Measure what debiasing by place, exposure and length gives on random slots; writes docs/debiasing.md."""
    from reelfeed.debiasing import debiasing as measured

    click.echo(measured(settings, seeds))


@click.command("closed-loop")
@click.option("--days", type=click.IntRange(1), default=5, show_default=True, help="Days that users live in the loop.")
@click.pass_obj
def closed_loop(settings: Settings, days: int) -> None:
    """Measure what feeding a world with what was learnt from it does to it; writes docs/closed_loop.md."""
    from reelfeed.closed_loop import closed_loop as lived

    click.echo(lived(settings, days))


@click.command("off-policy")
@click.option("--from", "first", type=DAY, help="First day of the random slots; impressions before it tell popularity.")
@click.option("--ds", type=DAY, help="Last day of the random slots.")
@recipe_option
@click.option("--open-bandit", "folder", help="A campaign's folder of the Open Bandit Dataset, instead of the lake.")
@click.pass_obj
def off_policy(settings: Settings, first: date | None, ds: date | None, recipe: str, folder: str | None) -> None:
    """Estimate what other policies would have earned, from slots whose propensities are known."""
    from reelfeed import off_policy as of_lake
    from reelfeed import open_bandit

    if folder:
        click.echo(open_bandit.told(folder, settings.seed))
    elif first and ds:
        click.echo(of_lake.told(settings, load_recipe(recipe), first, ds))
    else:
        raise UsageError("which log?", choices=["--from DAY --ds DAY", "--open-bandit FOLDER"])


@click.command("ab-plan")
@click.option("--ds", type=DAY, help="Last day of the metrics' days.")
@click.option("--days", type=click.IntRange(1), default=7, show_default=True, help="Days the experiment is to last.")
@click.option(
    "--effect",
    type=click.FloatRange(0, min_open=True),
    default=0.01,
    show_default=True,
    help="Relative change.",
)
@click.option("--alpha", default=0.05, show_default=True, help="Level of the two-sided test.")
@click.option("--power", default=0.8, show_default=True, help="Chance of showing such a change.")
@click.option("--write", "block", type=click.Choice(LOGS), help="Also put it into docs/ab_plan.md, as of these logs.")
@click.option("--check-ratio", "counts", type=int, nargs=2, help="Users of two arms: are they split as planned?")
@click.option("--planned", default=0.5, show_default=True, help="The first arm's share of users.")
@click.pass_obj
def ab_plan(
    settings: Settings,
    /,
    ds: date | None,
    days: int,
    effect: float,
    alpha: float,
    power: float,
    block: str | None,
    counts: tuple[int, int] | None,
    planned: float,
) -> None:
    """Plan an experiment from the lake's own users, or check how the users of one were split."""
    from models.ab_plan import Design
    from reelfeed.ab_plan import split_told, told
    from reelfeed.documents import write_block

    if counts:
        click.echo(split_told(*counts, planned))
    elif ds:
        text = told(settings, ds, days, effect, Design(alpha, power))
        click.echo(write_block("ab_plan.md", f"ab-plan {block}", text) if block else text)
    else:
        raise UsageError("plan or check?", choices=["--ds DAY", "--check-ratio USERS USERS"])


@click.command()
@ds_option
@recipe_option
@click.option("--objective", default="like", show_default=True, help="Head to have more of (of one to avoid: less).")
@click.option("--tolerance", default=0.01, show_default=True, help="Share that any other head may give less.")
@click.option("--trials", type=click.IntRange(1), default=200, show_default=True)
@click.pass_obj
def weights(settings: Settings, ds: date, recipe: str, objective: str, tolerance: float, trials: int) -> None:
    """Look for value weights on the validation days of the training set of a day, and judge them on its test days."""
    from reelfeed.weights import look_for_weights

    click.echo(look_for_weights(settings, load_recipe(recipe), ds, objective, tolerance, trials))


@click.command("weight-effects")
@click.option("--from", "first", type=DAY, required=True, help="First night whose feeds were made with drawn weights.")
@ds_option
@recipe_option
@click.pass_obj
def weight_effects(settings: Settings, first: date, ds: date, recipe: str) -> None:
    """Tell what users did who were given more weight of a head, where the recipe draws weights for each user."""
    from reelfeed.weight_effects import told

    click.echo(told(settings, load_recipe(recipe), first, ds))


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(["groups", "ladder", "inputs"]))
@ds_option
@click.option("--from", "first", type=DAY, required=True, help="First day of the history.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Fits of each kind.")
@recipe_option
@logs_option
@logs_dir_option
@click.pass_obj
def ablation(settings: Settings, /, parts: tuple[str, ...], ds: date, first: date, seeds: int, **logs: str) -> None:
    """Measure what features add to the order of long views: PARTS, or all, into docs/ablation.md.

    groups: each group of features, and smoothing. ladder: kinds of knowledge, each of several groups. inputs: scores of
    a factorisation machine and of candidate sources, and other ways to boost, chosen on the validation days.
    """
    from reelfeed.ablation import PARTS

    request = request_of(settings, ds, first, **logs)
    for part in parts or PARTS:
        click.echo(PARTS[part](settings, request, seeds))


@click.command()
@click.argument(
    "parts",
    nargs=-1,
    type=click.Choice(BENCHES),
)
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True, help="Of each part; medians are told.")
@click.option(
    "--users",
    type=click.IntRange(1),
    nargs=2,
    default=(25_000, 100_000),
    show_default=True,
    help="Of part feeds: the two numbers of users whose feeds are made.",
)
def bench(parts: tuple[str, ...], runs: int, users: tuple[int, int]) -> None:
    """Time and weigh PARTS, or all, into docs/benchmarks.md.

    night: the default world's whole night. features: the feature engine on 20 million impressions, beside DuckDB.
    search: the nearest of 50,000 videos for 100,000 users, beside faiss alone and Spark's own ALSModel.
    scoring: seven heads of 200 trees over a million rows, beside LightGBM's own predict.
    metrics: every metric of five million scored impressions, with intervals, beside scikit-learn user by user.
    training: seven heads on 2 million rows, beside a call of LightGBM for each.
    export: feeds into a Redis of this machine, beside a plain loop of SET.
    rollback: back to the feeds of the night before, of 100,000 users.
    feeds: from candidates to the store for many users, by the night's own jobs.
    """
    from reelfeed.bench import bench

    click.echo(bench(parts or BENCHES, runs, users))


@click.command("bench-quality")
@click.argument("parts", nargs=-1, type=click.Choice(["candidates", "ranking"]))
@ds_option
@click.option("--from", "first", type=DAY, required=True, help="First day of the logs to learn from.")
@click.option("--seeds", type=click.IntRange(1), help="Fits of everything; by default 3 of candidates, 5 of ranking.")
@recipe_option
@logs_option
@logs_dir_option
@click.pass_obj
def bench_quality(
    settings: Settings, /, parts: tuple[str, ...], ds: date, first: date, seeds: int | None, **logs: str
) -> None:
    """Compare PARTS, or all, with other people's recommenders on the same rows, into docs/benchmarks.md.

    candidates: what sources, blend and ranker propose. ranking: how the ranker orders what was shown.
    """
    from reelfeed import bench_quality as quality
    from reelfeed.documents import write_block

    request = request_of(settings, ds, first, **logs)
    for part, text in quality.bench_quality(settings, request, parts or tuple(quality.PARTS), seeds).items():
        click.echo(write_block("benchmarks.md", f"bench {part}", text))


STUDIES = (
    *(explain, examination, rules, debiasing, off_policy, closed_loop, ab_plan, weights, ablation, bench),
    *(weight_effects, bench_quality),
)
