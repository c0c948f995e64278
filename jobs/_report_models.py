"""Sections of the reports about what was trained: the ranker, its calibration, drift, sources, value weights."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from core.config import load
from core.lake import Lake
from core.recipe import Recipe
from core.settings import CONF, Settings
from core.table import Table
from core.tables.cohort_calibrations import TABLE as COHORT_CALIBRATIONS
from core.tables.evaluations import TABLE as EVALUATIONS
from core.tables.feature_drift import TABLE as FEATURE_DRIFT
from core.tables.promotions import TABLE as PROMOTIONS
from core.tables.source_fits import TABLE as SOURCE_FITS
from core.tables.source_quality import TABLE as SOURCE_QUALITY
from core.tables.stage_recall import TABLE as STAGE_RECALL
from jobs._report_page import Grid, Section
from models.estimate import Estimate
from models.gate import EVERYONE, HEAD, Gate
from models.heads import HEADS

SYSTEMS = ("popularity", "champion", "challenger", "placebo", "random", "oracle")
DRAWN_SYSTEMS = ("popularity", "champion", "challenger")
LIST_METRICS = ("gauc", "ndcg@5", "primary")
MERGED = ("round_robin", "blend", "blend_minus_round_robin", "blend_minus_best")
WEIGHTS_EXPERIMENT = "value_weights"
MOST_MOVED = 12
"""Features that the report names, those that moved furthest."""


def newest(lake: Lake, table: Table, ds: date, recipe: Recipe) -> tuple[date | None, list[dict[str, Any]]]:
    """Returns the newest day of `table` until `ds`, None where there is none, and its rows of `recipe`."""
    days = [day for day in lake.days(table) if day <= ds]
    if not days:
        return None, []
    rows = lake.read_arrow(table, days[-1:]).to_pylist()
    return days[-1], [row for row in rows if row["recipe"] == recipe.name]


def estimate_of(row: dict[str, Any], value: str = "value") -> Estimate:
    """Returns the column `value` of a row that has low and high as an estimate."""
    return Estimate(row[value], row["low"], row["high"])


def ranker(lake: Lake, ds: date, recipe: Recipe) -> Section:
    """Returns how the newest challenger did beside popularity, the champion, chance and the ceiling."""
    from models.report_plots import dots

    title = "The ranker beside popularity and the champion"
    day, rows = newest(lake, EVALUATIONS, ds, recipe)
    if not rows:
        return Section(title, ("No ranker was evaluated yet: DAG train_models does so after the first training.",))
    found = {(row["system"], row["head"], row["metric"]): estimate_of(row) for row in rows}
    pairs = sorted({system for system, _, _ in found if "_minus_" in system})
    drawn = [(name, found[name, HEAD, "primary"]) for name in DRAWN_SYSTEMS if (name, HEAD, "primary") in found]
    drawings = [dots(f"Ranking by {HEAD}: primary", drawn, "(GAUC + nDCG@5) / 2")]
    for pair in pairs:
        told = [(metric, found[pair, HEAD, metric]) for metric in LIST_METRICS if (pair, HEAD, metric) in found]
        drawings.append(dots(pair.replace("_minus_", " minus "), told, "difference, paired by user", zero=True))
    lists = Grid(
        "Order of each user's list. placebo: labels dealt out anew, GAUC must be 0.5; oracle: the labels themselves.",
        ("system", *LIST_METRICS),
        tuple(
            (name.replace("_", " "), *[_cell(found.get((name, HEAD, metric))) for metric in LIST_METRICS])
            for name in (*SYSTEMS, *pairs)
            if (name, HEAD, "gauc") in found
        ),
    )
    heads = Grid(
        "The challenger's predictions, head by head.",
        ("head", "predicted / observed", "AUC", "log loss", "RMSE"),
        tuple(
            (head.name, *[_cell(found.get(("challenger", head.name, name)))
             for name in ("calibration_ratio", "auc", "log_loss", "rmse")])
            for head in HEADS
        ),
    )  # fmt: skip
    basis = (
        f"Evaluated {day} on the test days: {rows[0]['rows']:,} impressions of {rows[0]['users']:,} users; 95 % "
        "intervals by bootstrap over users, differences on the same draws."
    )
    first = () if any("champion" in pair for pair in pairs) else ("There was no other champion to compare with.",)
    return Section(title, (basis, *first), tuple(drawings), (lists, heads))


def decision(lake: Lake, ds: date, recipe: Recipe) -> Section:
    """Returns who serves, and why."""
    title = "Who is champion, and why"
    day, rows = newest(lake, PROMOTIONS, ds, recipe)
    if not rows:
        return Section(title, ("No challenger was decided about yet: feeds are popular until one is promoted.",))
    row = max(rows, key=lambda one: one["number"])
    outcome = {"promoted": "promoted", "overridden": "put in place by people"}.get(row["decision"], "not promoted")
    told = (
        f"{day}: challenger {row['challenger']} was {outcome}; "
        f"champion is {row['champion']}, version {row['champion_version']} in MLflow's registry."
    )
    return Section(title, (told, *[f"{place}. {reason}." for place, reason in enumerate(row["reasons"], 1)]))


def calibration(lake: Lake, ds: date, recipe: Recipe) -> Section:
    """Returns how far predictions hold for everyone and for every cohort, head by head."""
    from models.cohorts import CohortCalibration
    from models.report_plots import is_off, reliability

    title = "Do predictions mean what they say?"
    day, rows = newest(lake, COHORT_CALIBRATIONS, ds, recipe)
    if not rows:
        return Section(title, ("No calibration was measured yet: DAG train_models does so after the first training.",))
    gate = load(Gate, CONF / "gate.toml")
    every = [CohortCalibration(**{name: row[name] for name in CohortCalibration.__dataclass_fields__}) for row in rows]
    drawings, told = [], []
    for head in HEADS:
        mine = [one for one in every if one.head == head.name]
        if not mine:
            continue
        large = [one for one in mine if one.cohort == EVERYONE or one.rows >= gate.cohort_rows]
        if large:
            drawings.append(reliability(head.name, head.unit, large, gate.cohort_calibration))
        off = [one for one in large if is_off(one, gate.cohort_calibration)]
        overall = [_cell(_ratio(one), 3) for one in mine if one.cohort == EVERYONE]
        worst = ", ".join(f"{one.cohort} {_cell(_ratio(one), 2)}" for one in off)
        told.append((head.name, *(overall or [""]), f"{len(off)} of {len(large)}", worst))
    text = (
        f"Measured {day} on the test days, a mark for everyone and for each cohort (new users, new videos, spans of "
        f"length, first tags) of at least {gate.cohort_rows:,} impressions. On the line a prediction is right.",
        "How predictions of different height hold is drawn by training: test.png of each head, below the run of "
        "experiment train_models in MLflow.",
    )
    bounds = f"{1 - gate.cohort_calibration:g} and {1 + gate.cohort_calibration:g}"
    grid = Grid(
        f"Predicted over observed, 95 % interval. Off: the whole interval lies outside {bounds}.",
        ("head", "everyone", "cohorts off", "which"),
        tuple(told),
    )
    return Section(title, text, tuple(drawings), (grid,))


def drift(lake: Lake, ds: date) -> Section:
    """Returns which features have moved furthest on the newest days from what the ranker learned from."""
    from models.drift import UNKNOWN_WORTH_A_LOOK, WORTH_A_LOOK, Drift
    from models.report_plots import bars

    title = "Have features moved?"
    days = [day for day in lake.days(FEATURE_DRIFT) if day <= ds]
    rows = lake.read_arrow(FEATURE_DRIFT, days[-1:]).to_pylist() if days else []
    if not rows:
        return Section(title, ("Not measured yet: job measure_drift of DAG train_models does so.",))
    found = [Drift(**{name: row[name] for name in Drift.__dataclass_fields__}) for row in rows]
    found.sort(key=lambda one: (not one.is_worth_a_look, -(one.distance or 0.0), one.feature))
    off, first = [one for one in found if one.is_worth_a_look], found[:MOST_MOVED]
    text = (
        f"Measured {days[-1]}: {rows[0]['rows_now']:,} rows of the test days beside {rows[0]['rows_before']:,} that "
        f"were learned from. {len(off)} of {len(found)} features are worth a look: they moved by {WORTH_A_LOOK} "
        f"standard deviations (of a category: of the rows), or their share of unknown values by "
        f"{UNKNOWN_WORTH_A_LOOK:.0%}. Counts grow while logs are young, and ages where nothing new is shown; what "
        "moves without such a reason is first looked for where the feature comes from.",
    )
    far = [(one.feature, Estimate(one.distance)) for one in first if one.distance is not None]
    table = tuple(
        (
            one.feature,
            *["" if value is None else f"{value:.4g}" for value in (one.distance, one.mean_before, one.mean_now)],
            *[f"{share:.1%}" for share in (one.unknown_before, one.unknown_now)],
        )
        for one in first
    )
    caption = f"The {len(first)} that moved furthest. Before: what was learned from; now: the test days."
    heads = ("feature", "distance", "mean before", "mean now", "unknown before", "unknown now")
    return Section(title, text, (bars("Furthest moved", far, "distance"),), (Grid(caption, heads, table),))


def sources(lake: Lake, ds: date, recipe: Recipe) -> Section:
    """Returns what each candidate source is worth: of the long views that came, what it had named, what only it had."""
    from models.report_plots import bars

    title = "What each candidate source is worth"
    day, rows = newest(lake, SOURCE_QUALITY, ds, recipe)
    quality = {(row["system"], row["metric"]): estimate_of(row) for row in rows if row["cohort"] == "all"}
    recall_day, stages = newest(lake, STAGE_RECALL, ds, recipe)
    of_night = {row["stage"].removeprefix("source "): row for row in stages}
    fits = {row["source"]: row for row in lake.read_arrow(SOURCE_FITS, [ds]).to_pylist()} if _fitted(lake, ds) else {}
    names = sorted(
        recipe.sources, key=lambda name: -(quality[name, "recall@100"].value if (name, "recall@100") in quality else 0)
    )
    text, drawings = [], []
    there = [(name, quality[name, "recall@100"]) for name in names if (name, "recall@100") in quality]
    if there:
        alone = {name: quality[name, "only@100"].value for name, _ in there if (name, "only@100") in quality}
        drawings.append(bars("First 100 of each source", there, "recall of long views; dark: what only it had", alone))
        text.append(f"Sources measured {day} on the long views of the days before.")
        merged = [
            (name.replace("_", " "), quality[name, "recall@100"]) for name in MERGED if (name, "recall@100") in quality
        ]
        text.append("Merged lists, recall@100: " + "; ".join(f"{name} {one.told()}" for name, one in merged) + ".")
    else:
        text.append("No source was measured yet: job fit_blend does so at every training.")
    served = [
        (name, Estimate(of_night[name]["recall"], of_night[name]["low"], of_night[name]["high"]))
        for name in names
        if name in of_night
    ]
    if served:
        alone = {name: of_night[name]["only"] or 0.0 for name, _ in served}
        feed_day = stages[0]["feed_ds"]
        drawings.append(
            bars(f"Candidates of {feed_day}", served, "recall of later long views; dark: what only it had", alone)
        )
        text.append(f"The night of {feed_day}, as measured {recall_day}.")
    table = tuple(
        (
            name, _state(fits.get(name)), _cell(quality.get((name, "recall@100")), 3),
            _cell(quality.get((name, "only@100")), 3), _cell(quality.get((name, "videos")), 3),
        )
        for name in names
    )  # fmt: skip
    grid = Grid(
        "videos: share of the pool in anyone's first 100.",
        ("source", "tonight", "recall@100", "only it", "videos"),
        table,
    )
    return Section(title, tuple(text), tuple(drawings), (grid,))


def trade_off(settings: Settings, ds: date, recipe: Recipe) -> Section:
    """Returns the newest search of value weights until `ds` that MLflow has, its curve and its words."""
    from core import tracking
    from models.report_plots import Drawing

    title = "What other value weights would give"
    client = tracking.connect(settings)
    experiment = client.get_experiment_by_name(WEIGHTS_EXPERIMENT)
    runs = client.search_runs([experiment.experiment_id], f"params.recipe = '{recipe.name}'") if experiment else []
    runs = sorted((run for run in runs if run.data.params["ds"] <= str(ds)), key=lambda run: run.data.params["ds"])
    if not runs:
        command = f"reelfeed weights --ds {ds} --objective HEAD"
        return Section(title, (f"No search of value weights was logged yet; this makes one: {command}",))
    run = runs[-1]
    with TemporaryDirectory() as folder:
        png = Path(client.download_artifacts(run.info.run_id, "trade_off.png", folder)).read_bytes()
    objective, metrics = run.data.params["objective"], run.data.metrics
    alt = f"What each set of weights that was tried gave of {objective}, over what it gave of another head."
    text = f"Searched on the validation days of {run.data.params['ds']} for more {objective}, judged on its test days."
    table = tuple(
        (
            head.name,
            f"{recipe.value[head.name]:g}",
            f"{metrics[f'weight.{head.name}']:.4g}",
            f"{metrics[f'test.{head.name}.difference']:+.4g}",
        )
        for head in HEADS
        if f"weight.{head.name}" in metrics
    )
    grid = Grid(
        "More by: mean of the first five of a list with the weights found, less that with the recipe's, on test days.",
        ("head", "weight now", "weight found", "more by"),
        table,
    )
    return Section(title, (text,), (Drawing(png, alt, "image/png"),), (grid,))


def _ratio(one: Any) -> Estimate:
    return Estimate(one.ratio, one.low, one.high)


def _cell(figure: Estimate | None, digits: int = 4) -> str:
    return figure.told(digits) if figure else ""


def _fitted(lake: Lake, ds: date) -> bool:
    return ds in lake.days(SOURCE_FITS)


def _state(fit: dict[str, Any] | None) -> str:
    if fit is None:
        return ""
    return f"{fit['rows']:,} rows" if fit["state"] == "fitted" else f"{fit['state']} {fit['reason']}".strip()
