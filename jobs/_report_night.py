"""Sections of the night's report about the night itself: what was lost where, what feeds are like, what was late."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from math import isnan
from typing import Any

from core.lake import Lake
from core.recipe import Recipe
from core.tables.feed_metrics import TABLE as FEED_METRICS
from core.tables.health import TABLE as HEALTH
from core.tables.parity import TABLE as PARITY
from core.tables.preranks import TABLE as PRERANKS
from core.tables.stage_recall import TABLE as STAGE_RECALL
from jobs._funnel import funnel
from jobs._report_models import estimate_of, newest
from jobs._report_page import Grid, Section
from models.estimate import Estimate

NIGHTS = 14
CUTS = ("candidates", "scored", "feed slots")
STAGES = ("candidates", "scored", "feed")
SHARES = {
    "exposure_gini": "exposure Gini",
    "coverage": "coverage",
    "diversity_tags": "diversity of tags",
    "new_videos": "new videos",
}


def lost(lake: Lake, ds: date, recipe: Recipe, users: int) -> Section:
    """Returns the funnel of the night for `users` users, and how much of what they then watched each stage had kept."""
    from models.report_plots import bars

    stages = funnel(lake, ds)
    rows = {label: count for label, count, _ in stages}
    shares = {b: rows[b] / rows[a] for a, b in pairwise(CUTS) if rows.get(a) and b in rows}
    shares["refused"] = rows.get("refused", 0) / max(rows.get("refused", 0) + rows.get("impressions", 0), 1)
    table = tuple(
        (label, f"{count:,}", _of_before(label, shares), f"{seconds:.1f}") for label, count, seconds in stages
    )
    grid = Grid("Rows of each stage, what of the stage before it lost, and the seconds until it was published.",
                ("stage", "rows", "lost", "seconds"), table)  # fmt: skip
    per_user = [(label, Estimate(rows[label] / users)) for label in CUTS if label in rows]
    drawings = [bars("Videos a user, from stage to stage", per_user, "videos")]
    text = []
    day, recalls = newest(lake, STAGE_RECALL, ds, recipe)
    of_stage = {row["stage"]: row for row in recalls}
    held = [(name, estimate_of(of_stage[name], "recall")) for name in STAGES if name in of_stage]
    if held:
        drawings.append(bars("Later long views that each stage held", held, "recall, mean over users"))
        steps = "; ".join(f"{b[0]} lost {a[1].value - b[1].value:.3f} of {a[1].value:.3f}" for a, b in pairwise(held))
        text.append(
            f"Of the long views that came after the night of {recalls[0]['feed_ds']}, as measured {day} with "
            f"{recalls[0]['users']:,} users: {steps}."
        )
    else:
        text.append("How much of what users then watched each stage holds is known a night later: table stage_recall.")
    _, cuts = newest(lake, PRERANKS, ds, recipe)
    text += [
        f"The pre-ranker's cut, {cut['candidates']:.0f} candidates a user to {cut['scored']:.0f}, leaves "
        f"{cut['value_kept']:.1%} of the value of the best feed and {cut['top_kept']:.1%} of its videos."
        for cut in cuts
        if cut["users"]
    ]
    return Section("The funnel, and what is lost in it", tuple(text), tuple(drawings), (grid,))


def feeds_over_nights(lake: Lake, ds: date, recipe: Recipe) -> Section:
    """Returns coverage, exposure, diversity and freshness of the last nights' feeds, and by cohort of the newest."""
    from models.report_plots import lines

    title = "What the feeds are like"
    days = [day for day in lake.days(FEED_METRICS) if day <= ds][-NIGHTS:]
    rows = lake.read_arrow(FEED_METRICS, days).to_pylist() if days else []
    found = {
        (row["ds"], row["metric"], row["cohort"]): estimate_of(row) for row in rows if row["recipe"] == recipe.name
    }
    days = sorted({day for day, _, _ in found})
    if not days:
        return Section(title, ("Not measured yet: job measure_feed of DAG health does so once the feeds are out.",))
    unknown = Estimate(float("nan"))
    series = {told: [found.get((day, metric, "all"), unknown).value for day in days] for metric, told in SHARES.items()}
    series = {told: values for told, values in series.items() if not all(map(isnan, values))}
    metrics = sorted({metric for day, metric, _ in found if day == days[-1]})
    table = tuple(
        (metric.replace("_", " "), *[
            found[days[-1], metric, cohort].told(3) if (days[-1], metric, cohort) in found else ""
            for cohort in ("all", "known", "new")
        ])
        for metric in metrics
    )  # fmt: skip
    told = f"Measured after the feeds are out, last for the night of {days[-1]}."
    if days[-1] < ds:
        told += f" The night of {ds} follows when DAG health has run, which writes this report again."
    grid = Grid(
        f"Night of {days[-1]}, 95 % intervals by bootstrap over users. known: with a showing in 28 days; new: without. "
        "Definitions: models/feed_metrics.py.",
        ("metric", "all users", "known", "new"),
        table,
    )
    return Section(title, (told,), (lines("Feeds, night by night", days, series, "share"),), (grid,))


def parity_and_freshness(lake: Lake, ds: date, recipe: Recipe) -> Section:
    """Returns whether features are what training makes of the same rows, and which tables are late."""
    text = []
    day, parities = newest(lake, PARITY, ds, recipe)
    for row in parities:
        changed = f" Tables changed since: {', '.join(row['changed'])}." if row["changed"] else ""
        text.append(
            f"Feature vectors of the night of {row['feed_ds']}, table {row['table']}, made again on {day}: "
            f"{row['mismatched']:,} of {row['rows']:,} differ from those scored ({row['mismatch_rate']:.2%}; it must "
            f"be none).{changed}"
        )
    if not parities:
        text.append("Whether the features of a feed are still what training makes of them is known a night later.")
    days = [one for one in lake.days(HEALTH) if one <= ds]
    health: list[dict[str, Any]] = lake.read_arrow(HEALTH, days[-1:]).to_pylist() if days else []
    late = [row for row in health if row["state"] != "fresh"]
    if not health:
        text.append("How late tables are is known when DAG health has run.")
    elif not late:
        text.append(f"All {len(health)} tables that are watched had their day on {days[-1]}.")
    grids: tuple[Grid, ...] = ()
    if late:
        shown = tuple(
            (row["table"], row["state"], str(row["newest"] or "never"), f"{row['allowed_hours']}") for row in late
        )
        grids = (
            Grid(f"Tables that were late on {days[-1]}.", ("table", "state", "newest day", "hours allowed"), shown),
        )
    return Section("Parity and freshness of features", tuple(text), (), grids)


def one_feed(feed: list[dict[str, Any]]) -> Section:
    """Returns the first slots of a feed: value, the terms that make it, who named it, what moved it, its propensity."""
    table = []
    for row in feed:
        weighed = [one for one in row["terms"] if one["weight"]]
        terms = ", ".join(f"{one['head']} {one['prediction']:.3g} × {one['weight']:g}" for one in weighed)
        named = ", ".join(f"{by['source']} #{by['rank']}" for by in row["sources"])
        why = [terms, f"named by {named}", *([f"moved by {', '.join(row['rules'])}"] if row["rules"] else [])]
        told = "; ".join([*filter(None, why), f"propensity {row['propensity']:.3g}"])
        table.append((str(row["slot"]), str(row["video_id"]), f"{row['value']:.4f}", told))
    caption = "Value: sum of each head's prediction times its weight. Named by: sources, each with its own place."
    grid = Grid(caption, ("slot", "video", "value", "why"), tuple(table))
    return Section(f"One feed: user {feed[0]['user_id']}", (), (), (grid,))


def _of_before(label: str, shares: dict[str, float]) -> str:
    if label == "refused":
        return f"{shares[label]:.2%} of all rows" if label in shares else ""
    return f"{1 - shares[label]:.1%}" if label in shares else ""
