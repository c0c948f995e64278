"""Who may serve: a challenger is promoted only if it is shown to be no worse than what serves now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.errors import ContractError
from models.estimate import Estimate, Figures

HEAD = "long_view"
METRIC = "primary"


@dataclass(frozen=True)
class Gate:
    """What a challenger must keep, from conf/gate.toml.

    `margin`: how far below 0 the lower end of the 95 % interval of its difference in `primary` may lie.
    `calibration_low`, `calibration_high`: where its predicted over observed long views must lie, inclusive.
    """

    margin: float
    calibration_low: float
    calibration_high: float


@dataclass(frozen=True)
class Decision:
    """What the gate decided about a challenger, and every reason, a sentence each."""

    decision: Literal["promoted", "kept", "refused"]
    reasons: tuple[str, ...]


def decide(gate: Gate, figures: Figures, challenger: str, champion: str | None) -> Decision:
    """Returns the decision about `challenger`, given the model that serves now, or None on the first night.

    First night: promoted if no worse than popularity, else refused. Later: promoted if it is no worse than the
    champion and its long views are calibrated, else the champion is kept; a challenger that is the champion is kept.
    Raises ContractError where `figures` lack one that the decision needs.
    """
    if challenger == champion:
        return Decision("kept", (f"{challenger} is already champion",))
    if champion is None:
        good, reason = _no_worse(gate, figures, "popularity")
        return Decision("promoted" if good else "refused", ("there is no champion yet", reason))
    checks = (_no_worse(gate, figures, "champion"), _calibrated(gate, figures))
    return Decision("promoted" if all(good for good, _ in checks) else "kept", tuple(reason for _, reason in checks))


def _no_worse(gate: Gate, figures: Figures, other: str) -> tuple[bool, str]:
    seen = _figure(figures, f"challenger_minus_{other}", METRIC)
    if seen.low is None or seen.high is None:
        raise _absent(f"challenger_minus_{other}", f"interval of {METRIC}")
    good = seen.low >= -gate.margin
    word = "no worse than" if good else "not shown to be no worse than"
    span = f"{seen.value:+.4f} [{seen.low:+.4f}, {seen.high:+.4f}]"
    return good, f"challenger is {word} {other}: {METRIC} of {HEAD} differs by {span}, margin {gate.margin:g}"


def _calibrated(gate: Gate, figures: Figures) -> tuple[bool, str]:
    seen = _figure(figures, "challenger", "calibration_ratio").value
    good = gate.calibration_low <= seen <= gate.calibration_high
    word = "within" if good else "outside"
    band = f"[{gate.calibration_low:g}, {gate.calibration_high:g}]"
    return good, f"predicted over observed {HEAD} is {seen:.3f}, {word} {band}"


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
