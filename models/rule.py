"""What a re-ranking rule is: one user's candidates in order, in; the same or fewer, in a better order, out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from core.errors import UsageError, unknown
from core.recipe import RuleUse
from core.registry import declarations
from models import rules

if TYPE_CHECKING:
    import numpy as np

Slate = Mapping[str, "np.ndarray"]
"""One user's candidates: equally long arrays by column name; video_id is always there."""


@dataclass(frozen=True)
class Rule:
    """A rule. `apply(order, slate, **parameters)` takes row numbers of `slate`, best first, and returns row numbers.

    It never invents or repeats one, changes nothing when run on its own result, and returns an empty order for an empty
    one. `columns` are those it reads; `parameters` names each parameter with its default.
    """

    name: str
    doc: str
    columns: tuple[str, ...]
    apply: Callable[..., np.ndarray]
    parameters: dict[str, int] = field(default_factory=dict)


@cache
def all_rules() -> dict[str, Rule]:
    """Returns every rule by name, sorted: the files of models/rules/."""
    return declarations(rules, "RULE")


def chosen(uses: Sequence[RuleUse], where: str) -> list[tuple[Rule, dict[str, Any]]]:
    """Returns the rules of a recipe with their parameters, defaults filled in.

    Raises UsageError for an unknown rule or parameter, or one that is not a whole number above 0.
    """
    found = []
    for use in uses:
        if use.rule not in all_rules():
            raise unknown("rule", use.rule, all_rules(), where=where)
        rule = all_rules()[use.rule]
        for name, value in use.parameters.items():
            if name not in rule.parameters:
                raise unknown(f"parameter of rule {rule.name}", name, rule.parameters, where=where)
            if not isinstance(value, int) or value < 1:
                raise UsageError(
                    f"{name} of rule {rule.name} must be a whole number above 0, not {value!r}", where=where
                )
        found.append((rule, {**rule.parameters, **use.parameters}))
    return found


def apply_all(steps: Sequence[tuple[Rule, dict[str, Any]]], slate: Slate) -> np.ndarray:
    """Returns the row numbers of `slate` that the rules leave, best first; the slate comes in order of value."""
    import numpy as np

    order = np.arange(len(slate["video_id"]))
    for rule, parameters in steps:
        order = rule.apply(order, slate, **parameters)
    return order
