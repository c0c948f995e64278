"""Every feature there is, in the one order that training rows, models and scoring share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

from core.registry import declarations
from features import groups
from features.group import Fact, FactGroup, FeatureGroup, Known, Rate, Value


@dataclass(frozen=True)
class Feature:
    """One number of the vector.

    `default` says in words what stands where its entity was never seen; `formula` is what would change its values.
    """

    name: str
    group: str
    doc: str
    type: str
    unit: str
    default: str
    owner: str
    max_age_hours: int
    known: Known
    neutral: float | None
    formula: str


@cache
def all_groups() -> dict[str, FeatureGroup]:
    """Returns every group that is made of tiles, by name, parents before their children."""
    return {group.name: group for generation in generations() for group in generation}


@cache
def generations() -> tuple[tuple[FeatureGroup, ...], ...]:
    """Returns the same groups by how many parents stand above them: those of one generation do not need each other."""
    waiting = {name: group for name, group in _declared().items() if isinstance(group, FeatureGroup)}
    found = []
    while waiting:
        found.append(tuple(group for group in waiting.values() if group.parent not in waiting))
        waiting = {name: group for name, group in waiting.items() if group not in found[-1]}
    return tuple(found)


@cache
def fact_groups() -> dict[str, FactGroup]:
    """Returns every group of facts by name, sorted."""
    return {name: group for name, group in _declared().items() if isinstance(group, FactGroup)}


def _declared() -> dict[str, FeatureGroup | FactGroup]:
    return declarations(groups, "GROUP")


@cache
def features() -> tuple[Feature, ...]:
    """Returns every feature: those made of tiles by group, feature and window, then the facts by group."""
    made = [feature for group in served_groups().values() for feature in features_of(group)]
    read = [feature for group in fact_groups().values() for feature in features_of(group)]
    return (*made, *read)


def features_of(group: FeatureGroup | FactGroup) -> tuple[Feature, ...]:
    """Returns the features of one group in the order of the vector, which does not hold those of an only_prior one."""
    if isinstance(group, FeatureGroup):
        return tuple(_of_tiles(group, *column) for column in group.columns)
    return tuple(_of_facts(group, fact) for fact in group.features)


def served_groups() -> dict[str, FeatureGroup]:
    """Returns the groups of tiles that give features of their own, in the order of the vector."""
    return {name: group for name, group in sorted(all_groups().items()) if not group.only_prior}


def _of_tiles(group: FeatureGroup, feature: Value | Rate, window: object, column: str) -> Feature:
    measures = [f"{measure.name}: {measure.sql}" for measure in feature.measures]
    return Feature(
        name=f"{group.name}__{column}",
        group=group.name,
        doc=next(each.doc for each in group.snapshot.columns if each.name == column),
        type="float",
        unit="share" if isinstance(feature, Rate) else "ln(1 + n)",
        default="0" if isinstance(feature, Value) else f"that of {group.parent}" if group.parent else str(feature.base),
        owner=group.owner,
        max_age_hours=group.max_age_hours,
        known="nightly",
        neutral=None,
        formula=f"{group.entity} {group.where} {group.parent} {group.prior_strength} {window} {measures}",
    )


def _of_facts(group: FactGroup, fact: Fact) -> Feature:
    return Feature(
        name=f"{group.name}__{fact.name}",
        group=group.name,
        doc=fact.doc,
        type="category" if fact.categorical else "float",
        unit=fact.unit,
        default=_unknown_fact(fact),
        owner=group.owner,
        max_age_hours=group.max_age_hours,
        known=fact.known,
        neutral=fact.neutral,
        formula=f"{fact.sql} | {fact.neutral}",
    )


def _unknown_fact(fact: Fact) -> str:
    """Returns what `fact` is of a row of which nothing is known; tests/contract/test_catalog_page.py asks Spark."""
    if fact.neutral is not None:
        return f"at scoring {fact.neutral:g}"
    # Whatever takes nulls away makes them 0; other features are never null, and 0 where they count.
    return "0" if any(part in fact.sql for part in ("coalesce(", "is not null", "{")) else "NaN"


def feature_names() -> tuple[str, ...]:
    """Returns the names in the order of the vector."""
    return tuple(feature.name for feature in features())


def categorical_names() -> tuple[str, ...]:
    return tuple(feature.name for feature in features() if feature.type == "category")


def neutral_values() -> dict[int, float]:
    """Returns place in the vector and value of what a feed is scored with for features known only at a request."""
    return {place: each.neutral for place, each in enumerate(features()) if each.neutral is not None}


def feature_set() -> str:
    """Returns twelve hex digits that change when any feature's name, order or formula does."""
    content = "\n".join(f"{feature.name}={feature.formula}" for feature in features())
    return hashlib.sha256(content.encode()).hexdigest()[:12]
