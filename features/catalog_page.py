"""The catalogue of features for people, docs/catalog.md, made from what the groups declare and from nothing else."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from math import isnan

from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.machine_factors import PARTS, VALUES, beside
from core.tables.users import TABLE as USERS
from features.catalog import Feature, all_groups, fact_groups, features, features_of
from features.group import Fact, FactGroup, FeatureGroup, Value, column_name
from features.point_in_time import UPLOAD_COLUMNS
from features.session import NEUTRAL
from features.window import Window

AS_OF = "as of the snapshot's day"
READ_FROM = {
    **dict.fromkeys(IMPRESSIONS.column_names, "the row itself"),
    **dict.fromkeys(UPLOAD_COLUMNS, "table `videos`, which an upload never changes"),
    **dict.fromkeys(set(USERS.column_names) - {"user_id", "ds"}, f"table `users` {AS_OF}"),
    **dict.fromkeys(("author_posted_on", "author_videos"), f"the author's rows of table `videos` {AS_OF}"),
    **dict.fromkeys(("follows_author", "author_followers"), f"table `follows` {AS_OF}"),
    **{beside(part, name): f"table `machine_factors` {AS_OF}" for part in PARTS for name in VALUES},
    **dict.fromkeys(NEUTRAL, "the user's earlier impressions of the session (features/session.py)"),
}
"""Where each column that a fact may name comes from: features/point_in_time.py puts them beside a row."""

OTHER_FEATURE = re.compile(r"\{(\w+)\}")

INTRODUCTION = """# Catalogue of features

Made from `features/groups/` by `features/catalog_page.py`; `make golden` writes it anew. `reelfeed features NAME`
shows what one value was made of.

**Names** are `group__feature_window`, those of facts `group__feature`. Braces stand for one feature each:
`x__showings_{{1d,7d}}` is `x__showings_1d` and `x__showings_7d`. The vector that models learn from holds {count}
features.

{windows}

**Rates are shrunk** to their parent group's rate in the same window: (top + k · prior) / (n + k). n is the
impressions, top how many of them count (of a watched share: how much of them was watched), prior the parent's rate,
k how many impressions the prior is worth. k is estimated every night for each rate and window and stored in table
`feature_priors`; where there is too little to estimate it from, the group's declared k serves. Why so:
[decision 0007](decisions/0007-shrinkage-by-credibility.md).

**Unseen** says what stands where the entity has no impression in the group's longest window (a parent that is unseen
too has its own parent's rates), or where a fact is unknown. **Known** nightly: there when a feed is made. Known at
the request: learned from, but a feed is scored, and judged, with the **neutral** value in its place. **Max age** is
how old a snapshot may be when it is used, counted from the end of its day; an older one knows of no one. Facts are
read from the tables of the snapshot's own day, or the newest before it that their max age allows.
"""


def page() -> str:
    """Returns the whole page as Markdown, the same at every call."""
    tiled = sorted(all_groups().values(), key=lambda group: group.name)
    facts = list(fact_groups().values())
    index = [*map(_index_row, tiled), *map(_index_row, facts)]
    windows = {window.name: window for group in tiled for window in group.windows}
    parts = [
        INTRODUCTION.format(count=len(features()), windows=_windows(windows.values())),
        _table(("Group", "About", "Features", "What it knows"), index),
        *[_tiled_section(group) for group in tiled],
        *[_fact_section(group) for group in facts],
    ]
    return "\n".join(parts)


def read_from(fact: Fact) -> dict[str, str]:
    """Returns the columns and other features that the SQL of `fact` names, each with where it comes from."""
    columns = {name: READ_FROM[name] for name in sorted(READ_FROM) if re.search(rf"\b{name}\b", fact.sql)}
    return columns | dict.fromkeys(OTHER_FEATURE.findall(fact.sql), "other features of the vector")


def describe_facts(group: FactGroup, names: Collection[str]) -> str:
    """Returns as text how the facts of `group` called one of `names` (`group__feature`) are read, and from where."""
    lines = [
        f"{group.name} · {group.owner}",
        f"  {group.doc}",
        "  Not made of tiles: read off a row, that is an impression, or in a feed a user and a candidate on the day",
        "  after the snapshot. features/point_in_time.py puts beside the row what these columns need.",
    ]
    for feature, fact in zip(features_of(group), group.features, strict=True):
        if feature.name not in names:
            continue
        when = f"known nightly; {feature.default} where it is unknown"
        if feature.neutral is not None:
            when = f"known only at the request; a feed is scored with {_number(feature.neutral)} in its place"
        lines += ["", feature.name, f"  {feature.doc}{f' [{feature.unit}]' if feature.unit else ''}", f"  {when}"]
        lines += [f"  SQL   {fact.sql}"]
        lines += [f"  from  {column}: {source.replace('`', '')}" for column, source in read_from(fact).items()]
    return "\n".join(lines)


def about(group: FeatureGroup | FactGroup) -> str:
    """Returns what one row of `group` is about, in a few words."""
    if isinstance(group, FactGroup):
        return "a row"
    return " × ".join(group.entity) or "all impressions"


def _windows(windows: Iterable[Window]) -> str:
    ordered = sorted(windows, key=lambda window: (window.days, window.half_life_days))
    named = [f"`{window.name}`: {window.doc[0].lower()}{window.doc[1:].rstrip('.')}" for window in ordered]
    return f"**Windows** end with the snapshot's own day, in the app's business time zone.\n{'; '.join(named)}."


def _index_row(group: FeatureGroup | FactGroup) -> tuple[str, ...]:
    count = "only priors" if isinstance(group, FeatureGroup) and group.only_prior else str(len(features_of(group)))
    return (f"[{group.name}](#{group.name})", about(group), count, group.doc)


def _tiled_section(group: FeatureGroup) -> str:
    facts = [
        f"Entity: {about(group)}",
        f"owner: {group.owner}",
        f"max age: {group.max_age_hours} h",
        f"parent: [{group.parent}](#{group.parent})" if group.parent else "no parent",
        f"declared k: {group.prior_strength:g}",
        f"windows: {', '.join(window.name for window in group.windows)}",
        *([f"counts only impressions where `{group.where}`"] if group.where else []),
        *(["gives priors to other groups and no feature to the vector"] if group.only_prior else []),
    ]
    by_name = {feature.name: feature for feature in features_of(group)}
    rows = []
    for feature in group.features:
        first = by_name[f"{group.name}__{column_name(feature.name, group.windows[0])}"]
        rows.append(
            (_name(group, feature.name), feature.doc, first, "0" if isinstance(feature, Value) else first.default)
        )
    return _section(group, facts, rows)


def _fact_section(group: FactGroup) -> str:
    sources = sorted({source for fact in group.features for source in read_from(fact).values()})
    facts = [
        "Read off a row",
        f"owner: {group.owner}",
        f"max age: {group.max_age_hours} h",
        f"from: {'; '.join(sources)}",
    ]
    rows = [(f"`{feature.name}`", feature.doc, feature, feature.default) for feature in features_of(group)]
    return _section(group, facts, rows)


def _section(
    group: FeatureGroup | FactGroup, facts: Sequence[str], rows: Sequence[tuple[str, str, Feature, str]]
) -> str:
    """Returns heading, meaning, `facts` and the table of a group; the column Neutral only where a feature has one."""
    neutral = any(feature.neutral is not None for _, _, feature, _ in rows)
    columns = ("Feature", "Meaning", "Type", "Unit", "Unseen", "Known", *(["Neutral"] if neutral else []))
    lines = [
        (
            name,
            doc,
            feature.type,
            feature.unit,
            default if feature.neutral is None else "",
            "nightly" if feature.known == "nightly" else "at the request",
            *([] if not neutral else ["" if feature.neutral is None else _number(feature.neutral)]),
        )
        for name, doc, feature, default in rows
    ]
    return f"## {group.name}\n\n{group.doc}\n\n{' · '.join(facts)}\n\n{_table(columns, lines)}"


def _name(group: FeatureGroup, feature: str) -> str:
    windows = ",".join(window.name for window in group.windows)
    return f"`{group.name}__{feature}_{windows if len(group.windows) == 1 else f'{{{windows}}}'}`"


def _number(value: float) -> str:
    return "NaN" if isnan(value) else f"{value:g}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *[[cell.replace("|", "\\|") for cell in row] for row in rows]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
