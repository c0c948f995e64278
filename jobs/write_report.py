"""Writes the night down, as text and as a page: the funnel, the ranker's figures, feeds over nights, one feed.

The page is `reports/RECIPE/night_DAY.html` below the home, which the task's log names whole. In
[MLflow](http://127.0.0.1:5000) (`make ui`), experiment `nightly_feed`, the night's run shows it as `report.html`.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from core.errors import MissingDataError
from core.job import Job, JobContext, log
from core.lake import Lake
from core.recipe import Recipe
from core.settings import Settings
from core.tables.candidates import TABLE as CANDIDATES
from core.tables.cohort_calibrations import TABLE as COHORT_CALIBRATIONS
from core.tables.evaluations import TABLE as EVALUATIONS
from core.tables.feed_metrics import TABLE as FEED_METRICS
from core.tables.feeds import TABLE as FEEDS
from core.tables.health import TABLE as HEALTH
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.parity import TABLE as PARITY
from core.tables.preranks import TABLE as PRERANKS
from core.tables.promotions import TABLE as PROMOTIONS
from core.tables.quarantined_impressions import TABLE as QUARANTINED
from core.tables.scored_candidates import TABLE as SCORED_CANDIDATES
from core.tables.source_fits import TABLE as SOURCE_FITS
from core.tables.source_models import TABLE as SOURCE_MODELS
from core.tables.source_quality import TABLE as SOURCE_QUALITY
from core.tables.stage_recall import TABLE as STAGE_RECALL
from jobs._funnel import funnel
from jobs._report_models import calibration, decision, ranker, sources, trade_off
from jobs._report_night import feeds_over_nights, lost, one_feed, parity_and_freshness
from jobs._report_page import log_to_mlflow, page, path, section, write
from jobs._source_lines import sources as source_lines
from models.estimate import Estimate

if TYPE_CHECKING:
    import pyarrow

SHOWN_SLOTS = 8


def run(ctx: JobContext) -> None:
    """Prints the night, writes its page, and logs both and the figures to MLflow where that answers."""
    text = night_report(ctx.settings, ctx.ds, ctx.recipe, None)
    log.info("%s", text)
    target = path(ctx.settings, ctx.recipe, "night", ctx.ds)
    html = night_page(ctx.settings, ctx.ds, ctx.recipe)
    write(target, html)
    figures = {}
    for label, rows, seconds in funnel(ctx.lake, ctx.ds):
        figures[f"rows {label}"], figures[f"seconds {label}"] = float(rows), seconds
    feeds = ctx.lake.partitions(FEEDS, [ctx.ds])[str(ctx.ds)]
    tags = {"feeds_hash": feeds.hash, "recipe_hash": ctx.recipe.hash, "ds": str(ctx.ds), "report": str(target)}
    tags |= {
        f"version {table.name}": str(ctx.lake.open(table).version()) for table in JOB.reads if ctx.lake.exists(table)
    }
    log_to_mlflow(ctx, "nightly_feed", html, tags, figures, {"report.txt": text})


def night_page(settings: Settings, ds: date, recipe: Recipe) -> str:
    """Returns the night as one HTML page; raises MissingDataError where no feeds were published for `ds`."""
    lake = Lake(settings.lake)
    feeds = lake.read_arrow(FEEDS, [ds], ["user_id", "tier"])
    users = len(feeds["user_id"].unique())
    own = _feed_of(lake, ds, feeds, None).slice(0, SHOWN_SLOTS).to_pylist()
    sections = [
        section("The funnel, and what is lost in it", lambda: lost(lake, ds, recipe, users)),
        section("The ranker", lambda: ranker(lake, ds, recipe)),
        section("Who is champion", lambda: decision(lake, ds, recipe)),
        section("Calibration", lambda: calibration(lake, ds, recipe)),
        section("Candidate sources", lambda: sources(lake, ds, recipe)),
        section("Feeds", lambda: feeds_over_nights(lake, ds, recipe)),
        section("Value weights", lambda: trade_off(settings, ds, recipe)),
        section("Parity and freshness of features", lambda: parity_and_freshness(lake, ds, recipe)),
        section("One feed", lambda: one_feed(own)),
    ]
    subtitle = f"Recipe {recipe.name} ({recipe.hash}) · {feeds.num_rows:,} slots for {users:,} users, {_tiers(feeds)}"
    return page(f"Night of {ds}", subtitle, sections)


def night_report(settings: Settings, ds: date, recipe: Recipe, user_id: int | None) -> str:
    """Returns the night as text: funnel, ranker against popularity, the feed of `user_id` (default: a personal one).

    Raises MissingDataError where no feeds of `recipe` were published for `ds`, or the user has none.
    """
    lake = Lake(settings.lake)
    feeds = lake.read_arrow(FEEDS, [ds], ["user_id", "tier"])
    lines = [f"Night of {ds} · recipe {recipe.name} ({recipe.hash})", "", "Funnel"]
    lines += [f"  {label:15} {rows:>12,} rows  {seconds:8.1f} s" for label, rows, seconds in funnel(lake, ds)]
    lines += [f"  feeds for {len(feeds['user_id'].unique()):,} users; slots by tier: {_tiers(feeds)}", ""]
    lines += [
        *source_lines(lake, ds, recipe),
        "",
        *_ranker(lake, ds, recipe),
        "",
        *_one_feed(lake, ds, feeds, user_id),
        "",
        "Open next",
    ]
    lines += [
        "  the night as a page, with figures:",
        f"  {path(settings, recipe, 'night', ds)}",
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


def _tiers(feeds: pyarrow.Table) -> str:
    tiers = feeds["tier"].value_counts().to_pylist()
    return ", ".join(f"{tier['values']} {tier['counts'] / feeds.num_rows:.1%}" for tier in tiers)


def _feed_of(lake: Lake, ds: date, feeds: pyarrow.Table, user_id: int | None) -> pyarrow.Table:
    """Returns the slots of `user_id`, by default of the first user of `feeds` with a personal one."""
    import pyarrow.compute as pc

    if user_id is None:
        personal = feeds.filter(pc.equal(feeds["tier"], "personal"))
        user_id = (personal if personal.num_rows else feeds)["user_id"][0].as_py()
    mine = (pc.field("ds") == ds) & (pc.field("user_id") == user_id)
    own = lake.dataset(FEEDS).to_table(filter=mine).sort_by("slot")
    if not own.num_rows:
        raise MissingDataError(f"user {user_id} has no feed that night", where="table feeds")
    return own


def _one_feed(lake: Lake, ds: date, feeds: pyarrow.Table, user_id: int | None) -> list[str]:
    own = _feed_of(lake, ds, feeds, user_id)
    shown = own.slice(0, SHOWN_SLOTS).to_pylist()
    return [
        f"Feed of user {shown[0]['user_id']}, first {SHOWN_SLOTS} of {own.num_rows} slots",
        *[_slot(row) for row in shown],
    ]


def _slot(row: dict[str, Any]) -> str:
    sources = " ".join(f"{by['source']}#{by['rank']}" for by in row["sources"])
    weighed = [term for term in row["terms"] if term["weight"]]
    terms = " ".join(f"{term['head']} {term['prediction']:.3g}×{term['weight']:g}" for term in weighed)
    return (
        f"  {row['slot']:3} video {row['video_id']:<8} value {row['value']:7.4f} = {terms or 'popular'}  from {sources}"
    )


JOB = Job(
    name="write_report",
    doc=__doc__,
    owner="feed-ranking",
    reads=(
        *(FEEDS, IMPRESSIONS, QUARANTINED, SOURCE_MODELS, SOURCE_FITS, SOURCE_QUALITY, CANDIDATES, SCORED_CANDIDATES),
        *(PRERANKS, EVALUATIONS, PROMOTIONS, COHORT_CALIBRATIONS, STAGE_RECALL, FEED_METRICS, PARITY, HEALTH),
    ),
    writes=(),
    run=run,
)
