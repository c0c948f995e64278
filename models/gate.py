"""Who may serve: a challenger is promoted only if it is shown to be better than what serves now, and to harm nobody."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from core.errors import ContractError
from models.estimate import Estimate, Figures

if TYPE_CHECKING:
    from models.cohort_differences import CohortDifference
    from models.cohorts import CohortCalibration
    from models.scoring_cost import ScoringCost

HEAD = "long_view"
METRIC = "primary"
VALUE = "value"
CHANGED = "changed@5"
EVERYONE = "everyone"
"""The cohort that all impressions are in."""


@dataclass(frozen=True)
class Gate:
    """What a challenger must keep, from conf/gate.toml.

    Better: the lower end of the 95 % interval of its difference in `primary` lies above 0. Where the champion has
    served for more than `stale_days` days, and on the first night, no worse than `margin` suffices.
    `calibration`: how far from 1 a frequent head's predicted over observed may be shown to lie for everyone;
    `cohort_calibration`: likewise for a cohort of at least `cohort_rows` impressions. Shown: the whole 95 % interval
    lies beyond. A head is frequent if at least `frequent` positives (or seconds) were observed on the test days.
    `cohort_margin`: how much worse, in GAUC, such a cohort's lists may be shown to be ordered.
    `changed_told`, `changed_at_most`: the share of the first five places of a list that gets other videos, from which
    it is told, and beyond which the champion is kept. `row_microseconds`: processor time that scoring may take a row;
    `megabytes`: how large the trees may be.
    """

    margin: float
    stale_days: int
    calibration: float
    cohort_calibration: float
    cohort_rows: int
    frequent: int
    cohort_margin: float
    changed_told: float
    changed_at_most: float
    row_microseconds: float
    megabytes: float


@dataclass(frozen=True)
class Decision:
    """What the gate decided about a challenger, and every reason, a sentence each."""

    decision: Literal["promoted", "kept", "refused"]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Evidence:
    """What a challenger is judged by, against a champion that has served for `champion_days` days, 0 without one."""

    figures: Figures
    calibrations: Sequence[CohortCalibration]
    differences: Sequence[CohortDifference]
    cost: ScoringCost
    champion_days: int


class _Check(NamedTuple):
    good: bool
    reason: str


def decide(gate: Gate, evidence: Evidence, challenger: str, champion: str | None) -> Decision:
    """Returns the decision about the model `challenger`, given the one that serves now, or None on the first night.

    First night: promoted if no worse than popularity, else refused. Later: promoted if every check is good, else the
    champion is kept; a challenger that is the champion is kept. The reasons follow from tables and models alone, so
    that a night run again gives the same: of the time scoring took they say only on which side of the limit it lies.
    Raises ContractError where `evidence` lacks a figure that the decision rests on.
    """
    if challenger == champion:
        return Decision("kept", (f"{challenger} is already champion",))
    if champion is None:
        first = _no_worse(gate, evidence.figures, "popularity")
        return Decision("promoted" if first.good else "refused", ("there is no champion yet", first.reason))
    checks = (
        _better(gate, evidence),
        _calibrated(gate, evidence.calibrations),
        _harmless(gate, evidence.differences),
        _familiar(gate, evidence.figures),
        *_affordable(gate, evidence.cost),
    )
    decision: Literal["promoted", "kept"] = "promoted" if all(check.good for check in checks) else "kept"
    return Decision(decision, tuple(check.reason for check in checks))


def _better(gate: Gate, evidence: Evidence) -> _Check:
    if evidence.champion_days > gate.stale_days:
        good, reason = _no_worse(gate, evidence.figures, "champion")
        stale = f"the champion has served for {evidence.champion_days} days, more than {gate.stale_days}"
        return _Check(good, f"{stale}, so that no worse suffices: {reason}")
    seen, low = _with_interval(evidence.figures, "champion")
    good = low > 0
    word = "better than" if good else "not shown to be better than"
    return _Check(good, f"challenger is {word} champion: {METRIC} of {HEAD} differs by {seen}")


def _no_worse(gate: Gate, figures: Figures, other: str) -> _Check:
    seen, low = _with_interval(figures, other)
    good = low >= -gate.margin
    word = "no worse than" if good else "not shown to be no worse than"
    return _Check(good, f"challenger is {word} {other}: {METRIC} of {HEAD} differs by {seen}, margin {gate.margin:g}")


def _calibrated(gate: Gate, calibrations: Sequence[CohortCalibration]) -> _Check:
    overall = [one for one in calibrations if one.cohort == EVERYONE and one.observed >= gate.frequent]
    if HEAD not in [one.head for one in overall]:
        raise _absent("challenger", "predicted over observed of everyone")
    heads = [one.head for one in overall]
    of_cohorts = [
        one for one in calibrations if one.cohort != EVERYONE and one.head in heads and one.rows >= gate.cohort_rows
    ]
    checks = [(one, gate.calibration) for one in overall] + [(one, gate.cohort_calibration) for one in of_cohorts]
    off = [(one, band) for one, band in checks if one.low > 1 + band or one.high < 1 - band]
    if not off:
        held = f"predicted over observed of {', '.join(heads)} is shown to be off in none of {len(checks)} checks"
        return _Check(True, held)
    told = ", ".join(
        f"{one.head} of {one.cohort} {one.ratio:.3f} [{one.low:.3f}, {one.high:.3f}], beyond {1 - band:g} to "
        f"{1 + band:g}"
        for one, band in off
    )
    return _Check(False, f"predicted over observed is off in {len(off)} of {len(checks)} checks: {told}")


def _harmless(gate: Gate, differences: Sequence[CohortDifference]) -> _Check:
    if EVERYONE not in [one.cohort for one in differences]:
        raise _absent("challenger_minus_champion", "gauc of everyone in table cohort_differences")
    judged = [one for one in differences if one.cohort == EVERYONE or one.rows >= gate.cohort_rows]
    harmed = [one for one in judged if one.high < -gate.cohort_margin]
    if not harmed:
        return _Check(True, f"lists are shown to be worse ordered for none of {len(judged)} cohorts")
    told = ", ".join(
        f"{one.cohort} {Estimate(one.value, one.low, one.high).told(sign='+')} of {one.rows} impressions"
        for one in harmed
    )
    return _Check(
        False,
        f"lists are worse ordered by more than {gate.cohort_margin:g} GAUC for {len(harmed)} of {len(judged)} "
        f"cohorts: {told}",
    )


def _familiar(gate: Gate, figures: Figures) -> _Check:
    seen = _figure(figures, "challenger_minus_champion", VALUE, CHANGED)
    told = f"{seen.told(3)} of the first five places of a list get another video"
    if seen.value > gate.changed_at_most:
        return _Check(False, f"too much of the feed would change: {told}, at most {gate.changed_at_most:g}")
    if seen.value > gate.changed_told:
        return _Check(True, f"much of the feed will change: {told}, told from {gate.changed_told:g}")
    return _Check(True, told)


def _affordable(gate: Gate, cost: ScoringCost) -> tuple[_Check, _Check]:
    fast, small = cost.microseconds <= gate.row_microseconds, cost.megabytes <= gate.megabytes
    taken = "at most" if fast else "more than"
    room = "at most" if small else "more than"
    return (
        _Check(fast, f"scoring takes {taken} {gate.row_microseconds:g} microseconds of processor time a row"),
        _Check(small, f"its trees are {cost.megabytes:.2f} megabytes, {room} {gate.megabytes:g}"),
    )


def _with_interval(figures: Figures, other: str) -> tuple[str, float]:
    """Returns the difference in METRIC from `other` as text, and the lower end of its interval."""
    system = f"challenger_minus_{other}"
    seen = _figure(figures, system, HEAD, METRIC)
    if seen.low is None or math.isnan(seen.low):
        raise _absent(system, f"interval of {METRIC}")
    return seen.told(sign="+"), seen.low


def _figure(figures: Figures, system: str, head: str, metric: str) -> Estimate:
    if (system, head, metric) not in figures or math.isnan(figures[system, head, metric].value):
        raise _absent(system, metric)
    return figures[system, head, metric]


def _absent(system: str, metric: str) -> ContractError:
    return ContractError(
        f"the evaluation has no {metric} of {system}: nothing was promoted",
        where="table evaluations",
        next_step="run evaluate again; a test part in which nobody has both labels yields no ranking metric",
    )
