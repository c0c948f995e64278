"""`reelfeed rules`: what a recipe's rules, and others that it could have, cost in predicted value and give in variety.

A night's scored candidates are made into feeds again, with one rule left out or one more, and nothing is published.
Exploration is off, so that all differences are the rules'. Figures are those of table feed_metrics.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

from core.errors import MissingDataError
from core.job import Job, JobContext
from core.lake import Lake
from core.recipe import Recipe, RuleUse
from core.settings import Settings
from core.tables.scored_candidates import TABLE as SCORED_CANDIDATES
from core.tables.users import TABLE as USERS
from jobs.build_feed import JOB as BUILD_FEED
from jobs.measure_feed import JOB as MEASURE_FEED
from models.estimate import Estimate
from models.rule import KINDS, all_rules

MORE = (
    RuleUse("topic_spread", {}),
    *[RuleUse("mmr", {"unlikeness": percent}) for percent in (10, 30, 60)],
    *[RuleUse("dpp", {"unlikeness": percent}) for percent in (10, 30, 60)],
)
"""Rules that are tried beside those of the recipe; of parameters not named the rule's own defaults hold."""
SERVED = "as the recipe has it"
VALUE = "value"
SHOWN = {
    "diversity_tags": "diversity of tags",
    "diversity_two_tower": "of two_tower's vectors",
    "new_videos": "new videos",
    "coverage": "coverage",
    "exposure_gini": "exposure Gini",
}
JOB = Job(
    name="rules",
    doc=__doc__,
    owner="feed-ranking",
    reads=tuple(dict.fromkeys((*BUILD_FEED.reads, *MEASURE_FEED.reads))),
    writes=(),
    run=lambda _: None,
)


Figures = dict[str, dict[str, Any]]
"""Rows of table feed_metrics about everyone's feeds, by metric."""


def rule_costs(settings: Settings, ds: date, recipe: Recipe) -> str:
    """Returns as Markdown what feeds of the night `ds` would be like with other rules.

    Raises MissingDataError where that night has no scored candidates.
    """
    found = figures(settings, ds, recipe)
    users = f"{found[SERVED][VALUE]['users']:,}"
    return table(found, f"Recipe {recipe.name}, night of {ds}, feeds of {users} users compared, no exploration.")


def figures(settings: Settings, ds: date, recipe: Recipe) -> dict[str, Figures]:
    """Returns what the feeds that each of `variants` makes of `ds`'s candidates are like; raises as `rule_costs`."""
    from core.spark import session
    from jobs._slate_inputs import slate_inputs
    from jobs.build_feed import made
    from jobs.measure_feed import measured

    lake = Lake(settings.lake)
    if ds not in lake.days(SCORED_CANDIDATES):
        raise MissingDataError(
            f"no candidates were scored on {ds}",
            where="table scored_candidates",
            choices=lake.days(SCORED_CANDIDATES)[-5:],
            next_step=f"reelfeed run score_candidates --ds {ds}",
        )
    spark, found = session(settings, JOB.name), {}
    for told, varied in variants(recipe):
        ctx = JobContext(JOB, (ds,), settings, varied, "", "", lake)
        feed, _ = made(ctx, slate_inputs(ctx, ctx.read(USERS)))
        found[told] = {row["metric"]: row for row in measured(ctx, feed) if row["cohort"] == "all"}
        spark.catalog.clearCache()
    return found


def variants(recipe: Recipe) -> Iterator[tuple[str, Recipe]]:
    """Yields `recipe` without exploration, and with one cap or floor less or one of MORE, each with what to call it."""
    plain = replace(recipe, exploration_slots=0)
    yield SERVED, plain
    kinds = {name: rule.kind for name, rule in all_rules().items()}
    for use in recipe.rules:
        if kinds[use.rule] != "filter":
            yield f"without {use.rule}", replace(plain, rules=tuple(one for one in recipe.rules if one != use))
    for use in MORE:
        if use.rule not in {one.rule for one in recipe.rules}:
            # Behind those of its own kind: a recipe's rules are in order of kinds.
            rules = sorted([*recipe.rules, use], key=lambda one: KINDS.index(kinds[one.rule]))
            parameters = "".join(f" {value}" for value in use.parameters.values())
            yield f"with {use.rule}{parameters}", replace(plain, rules=tuple(rules))


def table(found: dict[str, Figures], basis: str) -> str:
    """Returns the figures `found`, a row for each variant, as Markdown."""

    def cell(row: dict[str, Any] | None) -> str:
        return Estimate(row["value"], row["low"], row["high"]).told(3) if row else ""

    served = found[SERVED][VALUE]["value"]
    lines = [
        f"{basis} Means over users of a slot's predicted value, and of what feeds are like, with 95 % intervals by "
        "bootstrap over users.",
        "",
        f"| rules | value of a slot | % more | {' | '.join(SHOWN.values())} |",
        f"|---|{'---|' * (len(SHOWN) + 2)}",
    ]
    for told, rows in found.items():
        change = f"{100 * (rows[VALUE]['value'] / served - 1):+.2f}"
        lines.append(f"| {' | '.join([told, cell(rows[VALUE]), change, *(cell(rows.get(name)) for name in SHOWN)])} |")
    return "\n".join(lines)
