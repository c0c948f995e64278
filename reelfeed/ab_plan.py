"""`reelfeed ab-plan`: what an experiment on the lake's own users could show, and whether one was split as planned.

The plan's metrics are those of the days that end with `ds`, per user who was shown anything in them; CUPED looks back
at as many days before, a user who was not there having seen, liked and watched nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow
from numpy.typing import NDArray

from core.errors import ContractError, MissingDataError
from core.lake import Lake
from core.settings import Settings
from core.tables.impressions import TABLE as IMPRESSIONS
from models.ab_plan import (
    ALARM,
    Design,
    adjusted,
    correlation,
    detectable,
    false_positives,
    linearised,
    ratio_p_value,
    users_per_arm,
)

Floats = NDArray[np.float64]
Tops = Mapping[str, tuple[Floats, Floats]]
"""By metric, each user's part of the sum above and of the sum below, both (users,)."""

COLUMNS = ("user_id", "shown_on", "watch_ms", "is_long_view", "is_like", "is_not_interested")
GUARDRAILS = ("not-interested per user",)
SPLITS = 1_000


@dataclass(frozen=True)
class Plan:
    """What one metric asks of an experiment, in its own unit but for `correlation` and `false_positives`, in [0, 1].

    `value` is its mean over users, `deviation` that between users, `per_arm` the users of each arm that show the asked
    effect, `detectable` what the users of these days show, halved; `with_cuped` the same two of the adjusted metric.
    """

    value: float
    deviation: float
    correlation: float
    per_arm: int
    detectable: float
    with_cuped: tuple[int, float]
    false_positives: float


def told(settings: Settings, ds: date, days: int, effect: float, design: Design) -> str:
    """Returns the plan of every metric as Markdown; raises as `plans` does."""
    found, users, before = plans(settings, ds, days, effect, design)
    lines = [
        f"{users:,} users were shown something from {ds - timedelta(days=days - 1)} to {ds}; CUPED looks at the "
        f"{before} days before. Two-sided level {design.alpha:g}, power {design.power:g}, two arms of equal size, seed "
        f"{settings.seed}.",
        "",
        f"| per user, {days} days | mean | deviation | users per arm to show {effect:.1%} | with CUPED | correlation "
        f"| shown by halving these users | with CUPED | halves that differ by chance |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, plan in found.items():
        cuped_users, cuped_effect = plan.with_cuped
        lines.append(
            f"| {name}{' (guardrail)' if name in GUARDRAILS else ''} | {plan.value:.4g} | {plan.deviation:.4g} "
            f"| {plan.per_arm:,} | {cuped_users:,} | {plan.correlation:.2f} | {plan.detectable / plan.value:.1%} "
            f"| {cuped_effect / plan.value:.1%} | {plan.false_positives:.1%} |"
        )
    return "\n".join(lines)


def plans(settings: Settings, ds: date, days: int, effect: float, design: Design) -> tuple[dict[str, Plan], int, int]:
    """Returns the plan of every metric that is not 0, the users, and the days before that CUPED looks at.

    `effect` is the relative change to be shown, above 0. Raises MissingDataError where impressions of a day are absent.
    """
    lake = Lake(settings.lake)
    first = ds - timedelta(days=days - 1)
    there = lake.days(IMPRESSIONS)
    during = [first + timedelta(days=n) for n in range(days)]
    earlier = [day for day in there if first - timedelta(days=days) <= day < first]
    rows = lake.read_arrow(IMPRESSIONS, [*earlier, *during], COLUMNS)
    shown_on = rows["shown_on"].to_numpy()
    users = np.unique(rows["user_id"].to_numpy()[shown_on >= np.datetime64(first)])
    if len(users) < 4:
        raise MissingDataError(
            f"{len(users)} users were shown something from {first} to {ds}: too few to plan by",
            where="table impressions",
            next_step="give more --days, or a --ds with users",
        )
    now = _sums(rows, users, first, ds)
    past = _sums(rows, users, earlier[0], first - timedelta(days=1)) if earlier else {}
    found = {}
    for name, (top, bottom) in now.items():
        if top.any():
            values = linearised(top, bottom)
            before = linearised(*past[name]) if past and past[name][1].any() else np.zeros(len(users))
            found[name] = _plan(values, before, effect, design, settings.seed)
    return found, len(users), len(earlier)


def split_told(first: int, second: int, planned: float) -> str:
    """Returns in words that the arms' users are split as planned; raises ContractError where they are not."""
    chance = ratio_p_value(first, second, planned)
    share = first / (first + second)
    said = f"{share:.2%} of {first + second:,} users are in the first arm, {planned:.2%} were planned: p = {chance:.2g}"
    if chance < ALARM:
        raise ContractError(
            f"sample-ratio mismatch: {said}",
            where="the experiment's arms",
            next_step="believe none of its figures; look for users lost, bots, or a trigger that differs between arms",
        )
    return f"{said}, no mismatch (alarm below {ALARM:g})"


def _plan(values: Floats, before: Floats, effect: float, design: Design, seed: int) -> Plan:
    value, half = float(values.mean()), len(values) // 2
    deviations = [float(of.std(ddof=1)) for of in (values, adjusted(values, before))]
    per_arm = [users_per_arm(deviation, effect * value, design) for deviation in deviations]
    shown = [detectable(deviation, half, design) for deviation in deviations]
    return Plan(
        value,
        deviations[0],
        correlation(values, before),
        per_arm[0],
        shown[0],
        (per_arm[1], shown[1]),
        false_positives(values, design, seed, SPLITS),
    )


def _sums(rows: pyarrow.Table, users: NDArray[np.int64], first: date, last: date) -> Tops:
    """Returns every metric's sums of each of the ascending `users`, over what was shown from `first` to `last`."""
    day, user = rows["shown_on"].to_numpy(), rows["user_id"].to_numpy()
    wanted = (day >= np.datetime64(first)) & (day <= np.datetime64(last)) & np.isin(user, users)
    place = np.searchsorted(users, user[wanted])
    ordinal = (day[wanted] - np.datetime64(first)).astype("timedelta64[D]").astype(np.int64)
    span = (last - first).days + 1
    active = np.bincount(np.unique(place * span + ordinal) // span, minlength=len(users)).astype(np.float64)
    ones = np.ones(len(users))

    def total(column: str) -> Floats:
        found = np.bincount(place, rows[column].to_numpy()[wanted].astype(np.float64), len(users))
        return found.astype(np.float64, copy=False)

    return {
        "long views per user-day": (total("is_long_view"), active),
        "watch minutes per user": (total("watch_ms") / 60_000, ones),
        "likes per user": (total("is_like"), ones),
        "active days per user": (active, ones),
        "not-interested per user": (total("is_not_interested"), ones),
    }
