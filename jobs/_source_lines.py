"""The lines of the night's report about candidate sources: how they fared, what they are worth, what was cut."""

from __future__ import annotations

from datetime import date

from core.lake import Lake
from core.recipe import Recipe
from core.tables.preranks import TABLE as PRERANKS
from core.tables.source_fits import TABLE as SOURCE_FITS
from core.tables.source_quality import TABLE as SOURCE_QUALITY

MERGED = ("round_robin", "blend", "blend_minus_round_robin", "blend_minus_best")


def sources(lake: Lake, ds: date, recipe: Recipe) -> list[str]:
    """Returns a line for each source and merged list, and one for the pre-ranker's cut."""
    days = [day for day in lake.days(SOURCE_QUALITY) if day <= ds]
    rows = lake.read_arrow(SOURCE_QUALITY, days[-1:]).to_pylist() if days else []
    quality = {
        (row["system"], row["metric"]): row for row in rows if row["recipe"] == recipe.name and row["cohort"] == "all"
    }
    measured = f"measured {days[-1]} on long views of the days before" if quality else "not measured yet"
    lines = [f"Candidate sources, {measured}: recall@100, and what only this source had"]
    fits = {row["source"]: row for row in lake.read_arrow(SOURCE_FITS, [ds]).to_pylist()} if _has(lake, ds) else {}
    for name, fit in sorted(fits.items()):
        told = f"{fit['rows']:>10,} rows" if fit["state"] == "fitted" else f"{fit['state']} {fit['reason']}".strip()
        lines.append(f"  {name:24}{_figure(quality, name, 'recall@100')}{_figure(quality, name, 'only@100')}  {told}")
    for name in MERGED:
        if (name, "recall@100") in quality:
            row = quality[name, "recall@100"]
            lines.append(f"  {name:24}{row['value']:8.4f}  [{row['low']:.4f}, {row['high']:.4f}]")
    cuts = lake.read_arrow(PRERANKS, [ds]).to_pylist() if ds in lake.days(PRERANKS) else []
    return lines + [_cut(row) for row in cuts if row["recipe"] == recipe.name and row["users"]]


def _cut(row: dict[str, float]) -> str:
    return (
        f"  pre-ranker: {row['candidates']:.0f} candidates a user to {row['scored']:.0f}; of the best feed "
        f"{row['value_kept']:.1%} of the value is left, {row['top_kept']:.1%} of the videos ({row['users']} users)"
    )


def _has(lake: Lake, ds: date) -> bool:
    return ds in lake.days(SOURCE_FITS)


def _figure(quality: dict[tuple[str, str], dict[str, float]], name: str, metric: str) -> str:
    return f"{quality[name, metric]['value']:8.4f}" if (name, metric) in quality else " " * 8
