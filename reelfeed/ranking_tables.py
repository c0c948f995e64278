"""The tables of how logged impressions are ordered: every system with intervals, and ours less each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.bootstrap import REPLICATES, estimates
from models.estimate import Estimate
from models.metrics import LIST_METRICS, ListSums

OURS = "ranker"
ONE_SURFACE = "ranker, as if all were shown on the recipe's surface"
UNBEATABLE = ("oracle", "placebo")
"""Rows that check the measure; ours is not compared with them."""
HEADINGS = {"gauc": "GAUC", "ndcg@5": "nDCG@5", "primary": "primary"}


def tables(systems: Mapping[str, ListSums], rows: int, seeds: Sequence[int]) -> str:
    """Returns Markdown: the metrics of every system, best first, and paired differences of OURS less the others.

    `systems` has each one's sums, averaged over its `seeds`, of the same users; `rows` is how many impressions the
    lists have. ONE_SURFACE, which knows no more than a feed of one surface, is compared with popularity as well.
    """
    others = [name for name in systems if name not in (OURS, *UNBEATABLE)]
    pairs = [(OURS, other) for other in others] + [(ONE_SURFACE, "popularity")]
    found = estimates(systems, pairs, seeds[0])
    order = sorted(systems, key=lambda name: -found[name, "primary"].value)
    headings = " | ".join(HEADINGS[metric] for metric in LIST_METRICS)
    rule = f"|---|{'---|' * len(LIST_METRICS)}"
    users = len(systems[OURS].ndcg)
    return "\n".join(
        [
            f"{rows:,} impressions of {users:,} users; means over seeds {list(seeds)}; 95 % intervals by bootstrap "
            f"over users, {REPLICATES:,} replicates.",
            "",
            f"| | {headings} |",
            rule,
            *[f"| {name} | {_cells(found, name)} |" for name in order],
            "",
            f"| paired difference | {headings} |",
            rule,
            *[f"| {a} − {b} | {_cells(found, f'{a}_minus_{b}', '+')} |" for a, b in pairs],
        ]
    )


def _cells(found: Mapping[tuple[str, str], Estimate], system: str, sign: str = "") -> str:
    return " | ".join(found[system, metric].told(sign=sign) for metric in LIST_METRICS)
