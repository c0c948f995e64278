"""Features for people: the list of them, and one value with all that it was made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from difflib import get_close_matches
from math import log1p
from typing import TYPE_CHECKING, Any

from core.errors import MissingDataError, UsageError, unknown
from features.catalog import Feature, all_groups, fact_groups, features_of
from features.group import FactGroup, FeatureGroup, Measure, Rate, Value
from features.window import Window

if TYPE_CHECKING:
    from core.lake import Lake
    from core.table import Table

OPTIONS = {
    "user_id": "--user",
    "video_id": "--video",
    "author_id": "--author",
    "tag_id": "--tag",
    "surface": "--surface",
    "duration_bucket": "--duration-bucket",
}
"""The option that names each column an entity may be made of."""

TOLERANCE = 1e-5
"""Relative; values are stored in single precision."""

Row = dict[str, Any]
Entity = Mapping[str, int]
Asked = tuple[Value | Rate, Window, str]


def overview() -> str:
    """Returns one line a feature: name, group, when known, max age, meaning; those that give only priors last."""
    groups = sorted(_groups().values(), key=_only_prior)
    rows = [
        (
            each.name,
            group.name,
            "only a prior" if _only_prior(group) else each.known,
            f"{each.max_age_hours} h",
            each.doc,
        )
        for group in groups
        for each in features_of(group)
    ]
    return "\n".join(_columns(("feature", "group", "known", "max age", "meaning"), rows, indent=""))


def explain(lake: Lake, name: str, ds: date | None, entity: Entity) -> str:
    """Returns what feature or group `name` says of `entity` in the snapshot of `ds`, and what that was made of.

    `entity` holds ids by column. Of facts, which need neither, it is told what they are read from. Raises UsageError
    for an unknown name, and where an option is missing or does not belong; MissingDataError for a day that has no
    snapshot.
    """
    from features.catalog_page import describe_facts

    group, asked = _named(name)
    names = {feature.name for feature in asked}
    if isinstance(group, FactGroup):
        return describe_facts(group, names)
    columns = [column for column in group.columns if f"{group.name}__{column[2]}" in names]
    _complete(group, name, ds, entity)
    assert ds is not None
    return "\n".join(_explained(_seen(lake, group, ds, entity, _days(columns)), columns))


def _groups() -> dict[str, FeatureGroup | FactGroup]:
    return dict(sorted((all_groups() | fact_groups()).items()))


def _only_prior(group: FeatureGroup | FactGroup) -> bool:
    return isinstance(group, FeatureGroup) and group.only_prior


def _named(name: str) -> tuple[FeatureGroup | FactGroup, tuple[Feature, ...]]:
    """Returns the group that `name` is or belongs to, and its features that are meant."""
    groups = _groups()
    if name in groups:
        return groups[name], features_of(groups[name])
    by_name = {feature.name: feature for group in groups.values() for feature in features_of(group)}
    if name in by_name:
        feature = by_name[name]
        return groups[feature.group], (feature,)
    # More than a hundred choices would hide the near ones: those of its group, if that is known, else the groups.
    group_name = name.partition("__")[0]
    own = [each.name for each in features_of(groups[group_name])] if group_name in groups else list(groups)
    raise unknown("feature or feature group", name, {*own, *get_close_matches(name, by_name)}, where="features/groups/")


def _complete(group: FeatureGroup, name: str, ds: date | None, entity: Entity) -> None:
    """Raises UsageError where the options do not name one entity of `group` and a day."""
    missing = [OPTIONS[column] for column in group.entity if column not in entity] + ([] if ds else ["--ds"])
    surplus = [OPTIONS[column] for column in entity if column not in group.entity]
    beyond = [OPTIONS[column] for column, number in entity.items() if not 0 <= number < 1 << 63]
    wrong = (("add", missing), ("leave out", surplus), ("give a number from 0 to 2^63 - 1 to", beyond))
    faults = [f"{what} {', '.join(options)}" for what, options in wrong if options]
    if not faults:
        return
    ids = "".join(f" {OPTIONS[column]} {entity.get(column, 'ID')}" for column in group.entity)
    raise UsageError(
        f"{name} is about {' and '.join(f'one {column}' for column in group.entity) or 'everything'}, on one day: "
        + "; ".join(faults),
        next_step=f"reelfeed features {name}{ids} --ds {ds or 'YYYY-MM-DD'}",
    )


@dataclass(frozen=True)
class _Seen:
    """What the lake holds of one entity at the end of `ds`.

    `rows`: of `group` and of those above it, the root last, the snapshot's row, None where it was not seen. `tiles`:
    those that the snapshot saw, each with its `age` in days before `ds`. `priors`: rows of feature_priors by feature.
    """

    group: FeatureGroup
    ds: date
    entity: Entity
    rows: dict[str, Row | None]
    tiles: list[Row]
    priors: dict[str, Row]

    @property
    def above(self) -> FeatureGroup | None:
        return all_groups().get(self.group.parent)

    def amount(self, measure: Measure, window: Window) -> float:
        """Returns the sum of `measure` in `window`, each tile weighed by its age."""
        units: int = sum(tile[measure.name] * window.weight(tile["age"]) for tile in self.tiles)
        return units / window.unit


def _seen(lake: Lake, group: FeatureGroup, ds: date, entity: Entity, days: int) -> _Seen:
    """Returns what is known of `entity`, with the tiles of the last `days` days.

    Raises MissingDataError for a day that has no snapshot.
    """
    from core.tables.feature_priors import TABLE as FEATURE_PRIORS

    line = [group]
    while line[-1].parent:
        line.append(all_groups()[line[-1].parent])
    rows: dict[str, Row | None] = {}
    for each in line:
        there = lake.days(each.snapshot)
        if ds not in there:
            raise MissingDataError(
                f"table {each.snapshot.name!r} has no snapshot of {ds}",
                where=lake.path(each.snapshot),
                choices=[f"days published: {f'{there[0]} to {there[-1]}' if there else 'none'}"],
                next_step=f"reelfeed run build_features --ds {ds}",
            )
        own = {column: entity[column] for column in each.entity}
        rows[each.name] = next(iter(_rows(lake, each.snapshot, ds, ds, own)), None)
    first = ds - timedelta(days=days - 1)
    tiles = [tile | {"age": (ds - tile["event_on"]).days} for tile in _rows(lake, group.tiles, first, ds, entity)]
    in_window = sorted((tile for tile in tiles if tile["age"] < days), key=lambda tile: (tile["event_on"], tile["ds"]))
    priors = {row["feature"]: row for row in _rows(lake, FEATURE_PRIORS, ds, ds, {})}
    return _Seen(group, ds, entity, rows, in_window, priors)


def _rows(lake: Lake, table: Table, first: date, last: date, ids: Entity) -> list[Row]:
    """Returns the rows of `table` from `first` to `last` that have these `ids`; no other row is held for long."""
    from pyarrow import dataset

    wanted = (dataset.field("ds") >= first) & (dataset.field("ds") <= last)
    for column, number in ids.items():
        wanted &= dataset.field(column) == number
    rows: list[Row] = lake.dataset(table).to_table(filter=wanted).to_pylist()
    return rows


def _explained(seen: _Seen, asked: Sequence[Asked]) -> list[str]:
    group = seen.group
    lines = [
        f"{group.name} of {_entity(group, seen.entity)}, as known at the end of {seen.ds}",
        f"  {group.doc}",
        f"  owner {group.owner}, known nightly, may be used for {group.max_age_hours} h after the end of its day",
        *([f"  counts only impressions where {group.where}"] if group.where else []),
    ]
    row = seen.rows[group.name]
    values = _unseen(seen, asked) if row is None else _values(seen, asked, row)
    return [*lines, "", *values, "", *_tile_lines(seen, asked)]


def _entity(group: FeatureGroup, entity: Entity) -> str:
    return ", ".join(f"{column} {entity[column]}" for column in group.entity) or "all impressions"


def _values(seen: _Seen, asked: Sequence[Asked], row: Row) -> list[str]:
    """Returns the values of a seen entity with their sums, priors and strengths, and a warning for each that its
    tiles do not give."""
    lines, differing = [], []
    parent = seen.rows[seen.above.name] if seen.above else None
    for feature, window, column in asked:
        name, value = f"{seen.group.name}__{column}", row[column]
        if isinstance(feature, Value):
            n = seen.amount(feature.measure, window)
            made = log1p(n)
            lines.append((name, _number(value), "-", _exact(n), "-", "-", "-", f"ln(1 + {feature.measure.name})"))
        else:
            top, n = (seen.amount(each, window) / feature.scale for each in (feature.top, feature.bottom))
            # As features/shrinkage.py has it: the parent's value, or the base where it has none.
            prior, k = parent[column] if parent else feature.base, seen.priors[name]["strength"]
            made = (top + k * prior) / (n + k)
            how = "estimated" if seen.priors[name]["is_estimated"] else "declared"
            measures = f"{feature.top.name} / {feature.bottom.name}"
            lines.append((name, _number(value), _exact(top), _exact(n), _number(prior), _number(k), how, measures))
        if abs(made - value) > TOLERANCE * max(abs(made), abs(value)):
            differing.append(f"! {name} was stored as {_number(value)}, but its tiles now give {_number(made)}")
    above = f"the same rate of {seen.above.name} ({_entity(seen.above, seen.entity)})" if seen.above else ""
    return [
        f"Values (table {seen.group.snapshot.name})",
        *_columns(("feature", "value", "top", "n", "prior", "k", "k is", "made of"), lines),
        "  A rate is (top + k · prior) / (n + k), in impressions; a count is ln(1 + n). k: table feature_priors.",
        f"  prior: {above or 'the base that the rate declares'}",
        *differing,
        *([_anew(seen)] if differing else []),
    ]


def _unseen(seen: _Seen, asked: Sequence[Asked]) -> list[str]:
    """Returns what stands for an entity that the snapshot does not hold: no counts, and the rates of those above."""
    above = next((all_groups()[name] for name, row in seen.rows.items() if row is not None), None)
    found = seen.rows[above.name] if above else None
    lines = []
    for feature, _, column in asked:
        value, origin = 0.0, "no impressions"
        if isinstance(feature, Rate):
            value, origin = feature.base, "the base that the rate declares"
        if isinstance(feature, Rate) and above and found:
            value, origin = found[column], f"that of {above.name} ({_entity(above, seen.entity)})"
        lines.append((f"{seen.group.name}__{column}", _number(value), origin))
    return [
        f"Unseen: of {_entity(seen.group, seen.entity)} no impression had arrived "
        f"that happened in the {seen.group.longest} days to {seen.ds}.",
        "What stands instead",
        *_columns(("feature", "value", "which is"), lines),
        *([f"! {_entity(seen.group, seen.entity)} has tiles now", _anew(seen)] if seen.tiles else []),
    ]


def _anew(seen: _Seen) -> str:
    return (
        "! tiles, priors or the values above were published anew after this snapshot: "
        f"reelfeed run build_features --ds {seen.ds} makes it of what stands now"
    )


def _tile_lines(seen: _Seen, asked: Sequence[Asked]) -> list[str]:
    """Returns the tiles as a table, with the weight of each in every decayed window, and what the columns mean."""
    table, days = seen.group.tiles.name, _days(asked)
    if not seen.tiles:
        return [f"Tiles (table {table}): none of the {days} days to {seen.ds}"]
    measures = list(dict.fromkeys(measure for feature, _, _ in asked for measure in feature.measures))
    decayed = list(dict.fromkeys(window for _, window, _ in asked if window.half_life_days))
    weights, sums = [f"weight_{window.name}" for window in decayed], [measure.name for measure in measures]
    rows = [
        (
            *(str(tile["event_on"]), str(tile["ds"]), str(tile["age"])),
            *[_number(window.weight(tile["age"]) / window.unit) for window in decayed],
            *[str(tile[name]) for name in sums],
        )
        for tile in seen.tiles
    ]
    return [
        f"Tiles (table {table}): arrived by {seen.ds}, happened in the {days} days to it; age in days",
        *_columns(("event_on", "arrived", "age", *weights, *sums), rows),
        *[f"  {measure.name}: {measure.doc}" for measure in measures],
    ]


def _days(asked: Sequence[Asked]) -> int:
    return max(window.days for _, window, _ in asked)


def _number(value: float) -> str:
    return f"{value:.6g}"


def _exact(value: float) -> str:
    """Returns a sum without an exponent, whole where it is whole."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _columns(header: Sequence[str], rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Returns the lines of a table: words to the left, columns of numbers to the right."""
    parts = list(zip(header, *rows, strict=True))
    widths = [max(map(len, part)) for part in parts]
    numeric = [all(cell[:1] in tuple("-.0123456789") for cell in part[1:]) for part in parts]
    return [
        (
            indent
            + "  ".join(f"{cell:{'>' if n else '<'}{w}}" for cell, w, n in zip(line, widths, numeric, strict=True))
        ).rstrip()
        for line in (header, *rows)
    ]
