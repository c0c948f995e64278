"""The gate: who is promoted, who is kept out, and that it says why."""

from __future__ import annotations

import pytest

from core.config import load
from core.errors import ContractError
from core.settings import CONF
from models.cohorts import CohortCalibration
from models.estimate import Estimate
from models.gate import Gate, decide

GATE = Gate(margin=0.002, calibration=0.03, cohort_calibration=0.1, cohort_rows=1_000, frequent=500)


def figures(low: float = 0.01, against: str = "champion") -> dict[tuple[str, str, str], Estimate]:
    return {(f"challenger_minus_{against}", "long_view", "primary"): Estimate(low + 0.01, low, low + 0.02)}


def held(
    ratio: float = 1.0, width: float = 0.01, cohort: str = "everyone", rows: int = 5_000, head: str = "long_view"
) -> CohortCalibration:
    observed = rows / 4
    return CohortCalibration(head, cohort, rows, ratio * observed, observed, ratio, ratio - width, ratio + width)


@pytest.mark.parametrize(("low", "decision"), [(0.01, "promoted"), (-0.002, "promoted"), (-0.0021, "kept")])
def test_a_challenger_serves_only_if_no_worse(low: float, decision: str) -> None:
    found = decide(GATE, figures(low), [held()], "new", "old")
    assert found.decision == decision
    assert len(found.reasons) == 2


@pytest.mark.parametrize(
    ("also", "decision"),
    [
        ([held(1.12, 0.01, "new video")], "kept"),
        ([held(0.88, 0.01, "tag 3")], "kept"),
        ([held(0.95, head="like")], "kept"),
        ([held(1.12, 0.03, "new video")], "promoted"),
        ([held(1.5, 0.01, "new video", rows=999)], "promoted"),
        ([held(1.5, 0.01, head="share", rows=1_900)], "promoted"),
        ([held(1.5, 0.01, "tag 3", head="share")], "promoted"),
    ],
    ids=["cohort", "low", "head", "not sure", "few rows", "rare head", "cohort of a rare head"],
)
def test_a_head_shown_to_be_off_for_anyone_keeps_it_out(also: list[CohortCalibration], decision: str) -> None:
    assert decide(GATE, figures(), [held(), *also], "new", "old").decision == decision


def test_reasons_hold_the_figures() -> None:
    off = [held(1.3), held(0.8, 0.02, "new user")]
    reasons = " ".join(decide(GATE, figures(-0.01), off, "new", "old").reasons)
    for told in (
        "-0.0100",
        "+0.0100",
        "margin 0.002",
        "long_view of everyone 1.300 [1.290, 1.310], beyond 0.97 to 1.03",
        "long_view of new user 0.800 [0.780, 0.820], beyond 0.9 to 1.1",
        "off in 2 of 2 checks",
        "not shown to be no worse than champion",
    ):
        assert told in reasons


def test_the_first_model_must_be_no_worse_than_popularity() -> None:
    assert decide(GATE, figures(0.01, "popularity"), [], "new", None).decision == "promoted"
    assert decide(GATE, figures(-0.01, "popularity"), [], "new", None).decision == "refused"


def test_the_champion_again_is_kept_whatever_was_measured() -> None:
    found = decide(GATE, {}, [], "same", "same")
    assert found.decision == "kept"
    assert "already champion" in found.reasons[0]


def test_without_the_figure_nothing_is_decided() -> None:
    with pytest.raises(ContractError, match="nothing was promoted"):
        decide(GATE, {}, [held()], "new", "old")
    without_interval = {("challenger_minus_champion", "long_view", "primary"): Estimate(0.1)}
    with pytest.raises(ContractError, match="interval of primary"):
        decide(GATE, without_interval, [held()], "new", "old")
    with pytest.raises(ContractError, match="predicted over observed of everyone"):
        decide(GATE, figures(), [held(rows=1_000)], "new", "old")


def test_the_gate_we_ship_loads() -> None:
    gate = load(Gate, CONF / "gate.toml")
    assert 0 < gate.calibration < gate.cohort_calibration < 1
    assert gate.margin >= 0
