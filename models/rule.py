"""What a re-ranking rule is, of which there are four kinds, and how a recipe's rules are applied to many users at once.

A *filter* takes videos out. An *order* arranges them anew. A *cap* allows so many of a kind in so many slots in a row.
A *floor* gives some slots to videos of a kind. Filters come first in a recipe, then orders, then caps and floors, which
hold together: models/slate_kernel.py fills slot by slot what all of them allow. Where no video is left that every cap
allows, caps are given up for that slot from the last named to the first, and the row says which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from core.errors import UsageError, unknown
from core.recipe import RuleUse
from core.registry import declarations
from models import rules

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

Kind = Literal["filter", "order", "cap", "floor"]
KINDS: tuple[Kind, ...] = ("filter", "order", "cap", "floor")
Columns = Mapping[str, "NDArray[Any]"]
"""What rules know of videos: arrays by name, equally long; video_id is always there. `vectors`, (videos, dimensions),
is the exception: `vector_at` says which of them is a row's."""


@dataclass(frozen=True)
class Rule:
    """A rule. `columns` are those it reads, `parameters` names each of its parameters with its default.

    filter: `apply(columns)` is true for every row of the columns that may stay.
    order: `apply(lists, columns, length, **parameters)` returns the rows of `lists` in another order, each user's own;
    what stands behind the first `length` need not be arranged.
    cap: at most `most` rows with one value of its column in any `within` slots; values below 0 are not counted.
    floor: in every `within` slots the middle `least` are for rows whose column is above 0, the smallest first.

    None of them invents or repeats a video, and none changes anything when run on its own result.
    """

    name: str
    doc: str
    kind: Kind
    columns: tuple[str, ...]
    apply: Callable[..., NDArray[Any]] | None = None
    parameters: dict[str, int] = field(default_factory=dict)


Steps = Sequence[tuple[Rule, dict[str, Any]]]


@dataclass(frozen=True)
class Lists:
    """Many users' videos in order: user u's are `rows[bounds[u]:bounds[u + 1]]`, row numbers of the columns.

    `marks`, beside `rows`, has for step s of a recipe bit 2 s where it moved or placed the row, and bit 2 s + 1
    where the row stands against it. `is_held`, beside `rows`, is true where a floor placed the row.
    """

    rows: Ints
    bounds: Ints
    marks: NDArray[np.uint64]
    is_held: NDArray[np.bool_]


def lists_of(rows: Ints, bounds: Ints) -> Lists:
    """Returns lists that no rule has touched."""
    import numpy as np

    return Lists(rows, bounds, np.zeros(len(rows), np.uint64), np.zeros(len(rows), bool))


def mark_names(steps: Steps) -> list[str]:
    """Returns what each bit of `Lists.marks` says, the lowest first: `NAME` or `NAME relaxed`."""
    return [f"{rule.name}{what}" for rule, _ in steps for what in ("", " relaxed")]


@cache
def all_rules() -> dict[str, Rule]:
    """Returns every rule by name, sorted: the files of models/rules/."""
    return declarations(rules, "RULE")


def chosen(uses: Sequence[RuleUse], where: str) -> list[tuple[Rule, dict[str, Any]]]:
    """Returns the rules of a recipe with their parameters, defaults filled in.

    Raises UsageError for an unknown rule or parameter, one that is not a whole number above 0, rules whose kinds are
    not in order, and a second floor.
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
    places = [KINDS.index(rule.kind) for rule, _ in found]
    if places != sorted(places) or places.count(KINDS.index("floor")) > 1:
        told = ", ".join(f"{rule.name} ({rule.kind})" for rule, _ in found)
        raise UsageError(
            f"rules must come as filters, orders, caps and at most one floor, not as {told}",
            where=where,
            next_step="put them in that order: caps and the floor are kept together, after all else",
        )
    return found


def apply_all(steps: Steps, lists: Lists, columns: Columns, length: int) -> Lists:
    """Returns what the rules leave of `lists`, best first; the first `length` of each user are the slate.

    `lists` come in order of value. The rest of each list, what was left over, stands behind the slate.
    """
    return [lists, *after_each(steps, lists, columns, length)][-1]


def after_each(steps: Steps, lists: Lists, columns: Columns, length: int) -> Iterator[Lists]:
    """Yields for each step what `apply_all` would return of the steps up to it."""
    placing: list[tuple[int, Rule, dict[str, Any]]] = []
    for step, (rule, parameters) in enumerate(steps):
        if rule.kind in ("cap", "floor"):
            placing.append((step, rule, parameters))
            yield _placed(placing, lists, columns, length)
            continue
        assert rule.apply is not None
        if rule.kind == "filter":
            lists = _kept(lists, rule.apply(columns)[lists.rows])
        else:
            lists = _ordered(lists, rule.apply(lists, columns, length, **parameters), step)
        yield lists


def _bit(step: int) -> np.uint64:
    import numpy as np

    return np.uint64(1 << 2 * step)


def _ordered(lists: Lists, rows: Ints, step: int) -> Lists:
    """Returns `lists` with `rows` for its own, each user's in another order; marks go with their rows."""
    import numpy as np

    user = np.repeat(np.arange(len(lists.bounds) - 1), np.diff(lists.bounds))
    before, after = np.lexsort((lists.rows, user)), np.lexsort((rows, user))
    marks = np.empty_like(lists.marks)
    marks[after] = lists.marks[before]
    marks[rows != lists.rows] |= _bit(step)
    return replace(lists, rows=rows, marks=marks)


def _kept(lists: Lists, stays: NDArray[np.bool_]) -> Lists:
    import numpy as np

    before = np.concatenate([[0], np.cumsum(stays)])
    return Lists(lists.rows[stays], before[lists.bounds], lists.marks[stays], lists.is_held[stays])


def _placed(placing: Sequence[tuple[int, Rule, dict[str, Any]]], lists: Lists, columns: Columns, length: int) -> Lists:
    """Returns `lists` with every slot filled as the caps and the floor allow."""
    import numpy as np

    from models.slate_kernel import place

    caps = [(step, rule, parameters) for step, rule, parameters in placing if rule.kind == "cap"]
    kinds = np.zeros((len(caps), len(columns["video_id"])), np.int64)
    for number, (_, rule, _) in enumerate(caps):
        kinds[number] = columns[rule.columns[0]]
    most, within = (np.array([of[name] for _, _, of in caps], np.int64) for name in ("most", "within"))
    bits = np.array([_bit(step) for step, _, _ in caps], np.uint64)
    floor = next(((step, rule, of) for step, rule, of in placing if rule.kind == "floor"), None)
    if floor is None:
        rank, least, every, floor_bit = np.zeros(len(columns["video_id"]), np.int64), 0, 1, np.uint64(0)
    else:
        step, rule, of = floor
        rank = columns[rule.columns[0]].astype(np.int64)
        least, every, floor_bit = of["least"], of["within"], _bit(step)
    rows, marks, is_held = place(
        lists.rows, lists.bounds, lists.marks, length, kinds, most, within, bits, rank, least, every, floor_bit
    )
    return Lists(rows, lists.bounds, marks, is_held)
