"""The one number a feed is ordered by: each head's calibrated prediction times the recipe's weight, summed."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

from core.errors import UsageError
from core.recipe import Recipe
from models.heads import HEADS, Head

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def values(
    predictions: NDArray[np.float64],
    weights: Mapping[str, float | NDArray[np.float64]],
    heads: tuple[Head, ...] = HEADS,
) -> NDArray[np.float64]:
    """Returns what a feed is ordered by, float64 (rows,): the terms of `predictions` (rows, heads) added up.

    `predictions` are in the order of `heads`; a term is a prediction times its head's weight, one of all rows or one
    of each (rows,).
    """
    import numpy as np

    total = np.zeros(len(predictions))
    for i, head in enumerate(heads):
        total += predictions[:, i] * weights[head.name]
    return total


def terms_sql(weights: Mapping[str, float], heads: tuple[Head, ...] = HEADS) -> str:
    """Returns the Spark SQL of the same terms, an array of structs, over the arrays `predictions` and `weights`.

    Where `weights`, those of the row's user, is null, they are the given.
    """
    parts = []
    for i, head in enumerate(heads):
        at, weight = f"predictions[{i}]", f"coalesce(weights[{i}], double('{weights[head.name]!r}'))"
        fields = f"'head', '{head.name}', 'prediction', {at}, 'weight', {weight}, 'term', {at} * {weight}"
        parts.append(f"named_struct({fields})")
    return f"array({', '.join(parts)})"


def check_value(recipe: Recipe) -> None:
    """Raises UsageError, naming every fault at once, where a recipe's weights do not fit the heads: check_weights."""
    check_weights(recipe.value, f"conf/feeds/{recipe.name}.toml", varied=recipe.varied)


def check_weights(
    weights: Mapping[str, float], where: str, heads: tuple[Head, ...] = HEADS, varied: Mapping[str, float] | None = None
) -> None:
    """Raises UsageError, naming every fault at once, unless `weights` fit `heads`.

    Every head must be named, with a finite weight of the head's sign (0 switches it off) and within its limit, which
    holds too where `varied` lets it differ from user to user by a share between 0 and 1. `where` is the place to mend,
    such as the recipe's file.
    """
    known = {head.name: head for head in heads}
    faults = [f"head {name!r} has no weight" for name in known if name not in weights]
    for name, weight in weights.items():
        if name not in known:
            near = get_close_matches(name, known, n=1)
            faults.append(f"unknown head {name!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))
            continue
        head = known[name]
        if weight * head.sign < 0:
            faults.append(f"the weight of {name!r} is {weight:g}, it must be {'>=' if head.sign > 0 else '<='} 0")
        if not abs(weight) <= head.weight_limit:
            faults.append(f"the weight of {name!r} is {weight:g}, its limit is {head.weight_limit:g} per {head.unit}")
    for name, share in (varied or {}).items():
        if not weights.get(name):
            faults.append(f"{name!r} is to be varied, and has no weight to vary")
        elif not 0 < share < 1:
            faults.append(f"{name!r} is to be varied by {share:g} of its weight, it must be above 0 and below 1")
        elif name in known and abs(weights[name]) * (1 + share) > known[name].weight_limit:
            most = abs(weights[name]) * (1 + share)
            faults.append(f"varied by {share:g}, the weight of {name!r} reaches {most:g}, beyond its limit")
    if faults:
        step = "mend [value] or [varied] in that file"
        raise UsageError("; ".join(faults), where=where, choices=known, next_step=step)
