"""The gate: who is promoted, who is kept out, and that it says why."""

from __future__ import annotations

import pytest

from core.config import load
from core.errors import ContractError
from core.settings import CONF
from models.estimate import Estimate
from models.gate import Gate, decide

GATE = Gate(margin=0.002, calibration_low=0.8, calibration_high=1.25)


def figures(low: float = 0.01, ratio: float = 1.0, against: str = "champion") -> dict[tuple[str, str, str], Estimate]:
    return {
        (f"challenger_minus_{against}", "long_view", "primary"): Estimate(low + 0.01, low, low + 0.02),
        ("challenger", "long_view", "calibration_ratio"): Estimate(ratio),
    }


@pytest.mark.parametrize(
    ("low", "ratio", "decision"),
    [
        (0.01, 1.0, "promoted"),
        (-0.002, 1.0, "promoted"),
        (-0.0021, 1.0, "kept"),
        (0.01, 0.79, "kept"),
        (0.01, 1.26, "kept"),
        (0.01, 0.8, "promoted"),
    ],
)
def test_a_challenger_serves_only_if_no_worse_and_calibrated(low: float, ratio: float, decision: str) -> None:
    found = decide(GATE, figures(low, ratio), "new", "old")
    assert found.decision == decision
    assert len(found.reasons) == 2


def test_reasons_hold_the_figures() -> None:
    reasons = " ".join(decide(GATE, figures(-0.01, 1.3), "new", "old").reasons)
    for told in (
        "-0.0100",
        "+0.0100",
        "margin 0.002",
        "1.300",
        "[0.8, 1.25]",
        "not shown to be no worse than champion",
    ):
        assert told in reasons


def test_the_first_model_must_be_no_worse_than_popularity() -> None:
    assert decide(GATE, figures(0.01, against="popularity"), "new", None).decision == "promoted"
    assert decide(GATE, figures(-0.01, against="popularity"), "new", None).decision == "refused"


def test_the_champion_again_is_kept_whatever_was_measured() -> None:
    found = decide(GATE, {}, "same", "same")
    assert found.decision == "kept"
    assert "already champion" in found.reasons[0]


def test_without_the_figure_nothing_is_decided() -> None:
    with pytest.raises(ContractError, match="nothing was promoted"):
        decide(GATE, {}, "new", "old")
    without_interval = {("challenger_minus_champion", "long_view", "primary"): Estimate(0.1)}
    with pytest.raises(ContractError, match="interval of primary"):
        decide(GATE, without_interval, "new", "old")


def test_the_gate_we_ship_loads() -> None:
    gate = load(Gate, CONF / "gate.toml")
    assert gate.calibration_low < 1 < gate.calibration_high
    assert gate.margin >= 0
