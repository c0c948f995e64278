"""Who may serve: a challenger is promoted only if it is shown to be no worse than what serves now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from core.errors import ContractError
from models.estimate import Estimate, Figures

if TYPE_CHECKING:
    from models.cohorts import CohortCalibration

HEAD = "long_view"
METRIC = "primary"
EVERYONE = "everyone"
"""The cohort that all impressions are in."""


@dataclass(frozen=True)
class Gate:
    """What a challenger must keep, from conf/gate.toml.

    `margin`: how far below 0 the lower end of the 95 % interval of its difference in `primary` may lie.
    `calibration`: how far from 1 a frequent head's predicted over observed may be shown to lie for everyone;
    `cohort_calibration`: likewise for a cohort of at least `cohort_rows` impressions. Shown: the whole 95 % interval
    lies beyond. A head is frequent if at least `frequent` positives (or seconds) were observed on the test days.
    """

    margin: float
    calibration: float
    cohort_calibration: float
    cohort_rows: int
    frequent: int


@dataclass(frozen=True)
class Decision:
    """What the gate decided about a challenger, and every reason, a sentence each."""

    decision: Literal["promoted", "kept", "refused"]
    reasons: tuple[str, ...]


def decide(
    gate: Gate,
    figures: Figures,
    calibrations: Sequence[CohortCalibration],
    challenger: str,
    champion: str | None,
) -> Decision:
    """Returns the decision about `challenger`, given the model that serves now, or None on the first night.

    First night: promoted if no worse than popularity, else refused. Later: promoted if it is no worse than the
    champion and its frequent heads are calibrated, else the champion is kept; a challenger that is the champion is
    kept. Raises ContractError where `figures` or `calibrations` lack what the decision needs.
    """
    if challenger == champion:
        return Decision("kept", (f"{challenger} is already champion",))
    if champion is None:
        good, reason = _no_worse(gate, figures, "popularity")
        return Decision("promoted" if good else "refused", ("there is no champion yet", reason))
    checks = (_no_worse(gate, figures, "champion"), _calibrated(gate, calibrations))
    return Decision("promoted" if all(good for good, _ in checks) else "kept", tuple(reason for _, reason in checks))


def _no_worse(gate: Gate, figures: Figures, other: str) -> tuple[bool, str]:
    seen = _figure(figures, f"challenger_minus_{other}", METRIC)
    if seen.low is None or seen.high is None:
        raise _absent(f"challenger_minus_{other}", f"interval of {METRIC}")
    good = seen.low >= -gate.margin
    word = "no worse than" if good else "not shown to be no worse than"
    span = seen.told(sign="+")
    return good, f"challenger is {word} {other}: {METRIC} of {HEAD} differs by {span}, margin {gate.margin:g}"


def _calibrated(gate: Gate, calibrations: Sequence[CohortCalibration]) -> tuple[bool, str]:
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
        return True, f"predicted over observed of {', '.join(heads)} is shown to be off in none of {len(checks)} checks"
    told = ", ".join(
        f"{one.head} of {one.cohort} {one.ratio:.3f} [{one.low:.3f}, {one.high:.3f}], beyond {1 - band:g} to "
        f"{1 + band:g}"
        for one, band in off
    )
    return False, f"predicted over observed is off in {len(off)} of {len(checks)} checks: {told}"


def _figure(figures: Figures, system: str, metric: str) -> Estimate:
    if (system, HEAD, metric) not in figures:
        raise _absent(system, metric)
    return figures[system, HEAD, metric]


def _absent(system: str, metric: str) -> ContractError:
    return ContractError(
        f"the evaluation has no {metric} of {system} for {HEAD}: nothing was promoted",
        where="table evaluations",
        next_step="run evaluate again; a test part in which nobody has both labels yields no ranking metric",
    )
