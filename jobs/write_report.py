"""Writes the night down: rows and seconds of every stage, the ranker's figures, one feed with its reasons."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from core.errors import MissingDataError
from core.job import Job, JobContext, log
from core.lake import Lake, Publish
from core.recipe import Recipe
from core.settings import Settings
from core.table import Table
from core.tables.candidates import TABLE as CANDIDATES
from core.tables.evaluations import TABLE as EVALUATIONS
from core.tables.feeds import TABLE as FEEDS
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.preranks import TABLE as PRERANKS
from core.tables.promotions import TABLE as PROMOTIONS
from core.tables.quarantined_impressions import TABLE as QUARANTINED
from core.tables.scored_candidates import TABLE as SCORED_CANDIDATES
from core.tables.source_fits import TABLE as SOURCE_FITS
from core.tables.source_models import TABLE as SOURCE_MODELS
from core.tables.source_quality import TABLE as SOURCE_QUALITY
from features.catalog import all_groups
from jobs._source_lines import sources
from models.estimate import Estimate

if TYPE_CHECKING:
    import pyarrow

SHOWN_SLOTS = 8
FUNNEL: tuple[tuple[str, tuple[Table, ...]], ...] = (
    ("impressions", (IMPRESSIONS,)),
    ("refused", (QUARANTINED,)),
    ("feature rows", tuple(group.snapshot for group in all_groups().values())),
    ("source models", (SOURCE_MODELS,)),
    ("candidates", (CANDIDATES,)),
    ("scored", (SCORED_CANDIDATES,)),
    ("feed slots", (FEEDS,)),
)


def run(ctx: JobContext) -> None:
    """Logs the night's report and figures to MLflow and prints the report."""
    from core import tracking

    text = night_report(ctx.settings, ctx.ds, ctx.recipe, None)
    log.info("%s", text)
    figures = {}
    for label, rows, seconds in funnel(ctx.lake, ctx.ds):
        figures[f"rows {label}"], figures[f"seconds {label}"] = float(rows), seconds
    feeds = ctx.lake.partitions(FEEDS, [ctx.ds])[str(ctx.ds)]
    tags = {"feeds_hash": feeds.hash, "recipe_hash": ctx.recipe.hash, "ds": str(ctx.ds)}
    with tracking.run(ctx.settings, "nightly_feed", f"{ctx.recipe.name} {ctx.ds}", params={}, tags=tags):
        import mlflow

        mlflow.log_metrics(figures)
        mlflow.log_text(text, "report.txt")
        versions = {
            f"version {table.name}": str(ctx.lake.open(table).version())
            for table in JOB.reads
            if ctx.lake.exists(table)
        }
        mlflow.set_tags(versions)


def funnel(lake: Lake, ds: date) -> list[tuple[str, int, float]]:
    """Returns stage, rows published for `ds`, and seconds until they were, for every stage that was published."""
    found = []
    for label, tables in FUNNEL:
        publishes = [publish for table in tables if (publish := _publish_of(lake, table, ds))]
        if publishes:
            rows = sum(publish.days[str(ds)].rows for publish in publishes)
            found.append((label, rows, max(publish.seconds for publish in publishes)))
    return found


def _publish_of(lake: Lake, table: Table, ds: date) -> Publish | None:
    return next((publish for publish in lake.history(table) if str(ds) in publish.days), None)


def night_report(settings: Settings, ds: date, recipe: Recipe, user_id: int | None) -> str:
    """Returns the night as text: funnel, ranker against popularity, the feed of `user_id` (default: a personal one).

    Raises MissingDataError where no feeds of `recipe` were published for `ds`, or the user has none.
    """
    lake = Lake(settings.lake)
    feeds = lake.read_arrow(FEEDS, [ds], ["user_id", "tier"])
    lines = [f"Night of {ds} · recipe {recipe.name} ({recipe.hash})", "", "Funnel"]
    lines += [f"  {label:15} {rows:>12,} rows  {seconds:8.1f} s" for label, rows, seconds in funnel(lake, ds)]
    tiers = feeds["tier"].value_counts().to_pylist()
    shares = ", ".join(f"{tier['values']} {tier['counts'] / feeds.num_rows:.1%}" for tier in tiers)
    lines += [f"  feeds for {len(feeds['user_id'].unique()):,} users; slots by tier: {shares}", ""]
    lines += [
        *sources(lake, ds, recipe),
        "",
        *_ranker(lake, ds, recipe),
        "",
        *_one_feed(lake, ds, feeds, user_id),
        "",
        "Open next",
    ]
    lines += [
        "  make ui                      Airflow and MLflow in the browser",
        f"  reelfeed report --ds {ds} --user ID    another user's feed",
        "  what Great Expectations saw (Data Docs):",
        f"  {settings.home_path / 'gx' / 'uncommitted' / 'data_docs' / 'local_site' / 'index.html'}",
    ]
    return "\n".join(lines)


def _ranker(lake: Lake, ds: date, recipe: Recipe) -> list[str]:
    days = [day for day in lake.days(EVALUATIONS) if day <= ds]
    if not days:
        return ["Ranker: none was evaluated yet"]
    rows = [row for row in lake.read_arrow(EVALUATIONS, days[-1:]).to_pylist() if row["recipe"] == recipe.name]
    lines = [f"Ranker, evaluated {days[-1]} on long views of the last days (95 % intervals, bootstrap over users)"]
    for metric in ("gauc", "ndcg@5", "primary"):
        for system in ("popularity", "challenger", "challenger_minus_popularity"):
            lines += [
                f"  {metric:8} {system:28} {Estimate(row['value'], row['low'], row['high']).told()}"
                for row in rows
                if (row["metric"], row["system"], row["head"]) == (metric, system, "long_view")
            ]
    decided = [day for day in lake.days(PROMOTIONS) if day <= ds]
    for row in lake.read_arrow(PROMOTIONS, decided[-1:]).to_pylist() if decided else []:
        lines.append(
            f"  champion {row['champion']} (version {row['champion_version']}), {row['decision']} {decided[-1]}: "
            + "; ".join(row["reasons"])
        )
    return lines


def _one_feed(lake: Lake, ds: date, feeds: pyarrow.Table, user_id: int | None) -> list[str]:
    import pyarrow.compute as pc

    if user_id is None:
        personal = feeds.filter(pc.equal(feeds["tier"], "personal"))
        user_id = (personal if personal.num_rows else feeds)["user_id"][0].as_py()
    mine = (pc.field("ds") == ds) & (pc.field("user_id") == user_id)
    own = lake.dataset(FEEDS).to_table(filter=mine).sort_by("slot")
    if not own.num_rows:
        raise MissingDataError(f"user {user_id} has no feed that night", where="table feeds")
    lines = [f"Feed of user {user_id}, first {SHOWN_SLOTS} of {own.num_rows} slots"]
    return lines + [_slot(row) for row in own.slice(0, SHOWN_SLOTS).to_pylist()]


def _slot(row: dict[str, Any]) -> str:
    sources = " ".join(f"{by['source']}#{by['rank']}" for by in row["sources"])
    terms = " ".join(f"{term['head']} {term['prediction']:.3g}×{term['weight']:g}" for term in row["terms"])
    return (
        f"  {row['slot']:3} video {row['video_id']:<8} value {row['value']:7.4f} = {terms or 'popular'}  from {sources}"
    )


JOB = Job(
    name="write_report",
    doc=__doc__,
    owner="feed-ranking",
    reads=(
        *(FEEDS, IMPRESSIONS, QUARANTINED, SOURCE_MODELS, SOURCE_FITS, SOURCE_QUALITY, CANDIDATES, SCORED_CANDIDATES),
        *(PRERANKS, EVALUATIONS, PROMOTIONS),
    ),
    writes=(),
    run=run,
)
