"""The tables of `make bench-quality`: recall of every list with intervals, and paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.attribution import DEPTHS, GAIN_DEPTH, Ids, Pairs, Truth, gain, means, recall
from models.bootstrap import REPLICATES

SERVED = "blend, ranker"
SEED = 20260101

Columns = dict[str, NDArray[np.float64]]


def tables(
    found: Mapping[str, list[Pairs]],
    cold: Mapping[str, list[Pairs]],
    true: Truth,
    known: NDArray[np.bool_],
    held_back: NDArray[np.bool_],
    pool: Ids,
    seeds: Sequence[int],
) -> str:
    """Returns Markdown: the lists of `found` (one a seed), what beats what, and the `cold` lists of new users.

    `known` and `held_back` say of the users of the truth who had history, and who was held back from the cold lists.
    """
    measured = _of(known, _measured({**found, "random": [_random(true, pool)], "oracle": [_oracle(true)]}, true))
    lines = [
        f"{int(known.sum()):,} users with history who watched something new to them for long; means over seeds "
        f"{list(seeds)}; 95 % intervals by bootstrap over users, {REPLICATES:,} replicates.",
        "",
        *_table(measured),
        "",
        *_differences(measured, found),
        "",
        f"Users held back from fitting ({int(held_back.sum()):,}), asked without history, seed {seeds[-1]}:",
        "",
    ]
    of_cold = _of(held_back, _measured(cold, true))
    return "\n".join([*lines, *_table(of_cold), "", *_cold_differences(of_cold)])


def _measured(found: Mapping[str, list[Pairs]], true: Truth) -> dict[str, Columns]:
    """Returns by metric and list one number a user, the mean over seeds."""
    measured: dict[str, Columns] = {}
    for depth in DEPTHS:
        columns = {name: [recall(one, true, depth) for one in lists] for name, lists in found.items()}
        measured[f"recall@{depth}"] = {name: np.mean(seeds, axis=0) for name, seeds in columns.items()}
    gains = {name: [gain(one, true) for one in lists] for name, lists in found.items()}
    measured[f"nDCG@{GAIN_DEPTH}"] = {name: np.mean(seeds, axis=0) for name, seeds in gains.items()}
    return measured


def _of(there: NDArray[np.bool_], measured: Mapping[str, Columns]) -> dict[str, Columns]:
    return {metric: {name: one[there] for name, one in columns.items()} for metric, columns in measured.items()}


def _table(measured: Mapping[str, Columns]) -> list[str]:
    estimates = {metric: means(columns, SEED) for metric, columns in measured.items()}
    first = next(iter(estimates))
    order = sorted(estimates[first], key=lambda name: -estimates[first][name].value)
    lines = [f"| | {' | '.join(estimates)} |", f"|---|{'---|' * len(estimates)}"]
    return lines + [
        f"| {name} | {' | '.join(estimates[metric][name].told() for metric in estimates)} |" for name in order
    ]


def _differences(measured: Mapping[str, Columns], found: Mapping[str, list[Pairs]]) -> list[str]:
    """Returns the blend less the best source, and what is served less every peer."""
    singles = [name for name in found if not name.startswith(("blend", "round_robin", "peer "))]
    at_100 = measured["recall@100"]
    best = max(singles, key=lambda name: at_100[name].mean())
    pairs = [("blend", best), ("blend", "round_robin")]
    pairs += [(mine, name) for mine in ("blend", SERVED) for name in found if name.startswith("peer ")]
    return _paired(measured, pairs)


def _cold_differences(measured: Mapping[str, Columns]) -> list[str]:
    return _paired(measured, [(name, "popularity") for name in ("blend", "trending", "two_tower")])


def _paired(measured: Mapping[str, Columns], pairs: Sequence[tuple[str, str]]) -> list[str]:
    lines = [f"| paired difference | {' | '.join(measured)} |", f"|---|{'---|' * len(measured)}"]
    estimates = {
        metric: means({f"{a} − {b}": columns[a] - columns[b] for a, b in pairs}, SEED)
        for metric, columns in measured.items()
    }
    for a, b in pairs:
        gains = [found[f"{a} − {b}"].told(sign="+") for found in estimates.values()]
        lines.append(f"| {a} − {b} | {' | '.join(gains)} |")
    return lines


def _random(true: Truth, pool: Ids) -> Pairs:
    draw = np.random.default_rng(SEED)
    width = min(max(DEPTHS), len(pool))
    videos = np.concatenate([draw.choice(pool, width, replace=False) for _ in true.users])
    return Pairs(np.repeat(true.users, width), videos, np.tile(np.arange(1, width + 1), len(true.users)))


def _oracle(true: Truth) -> Pairs:
    """Returns for every user their truth itself."""
    place, video = np.divmod(true.codes, true.videos)
    begins = np.searchsorted(place, place)
    return Pairs(true.users[place], video, np.arange(len(place)) - begins + 1)
