"""The gate: who is promoted, who is kept out, and that it says why."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from core.config import load
from core.errors import ContractError
from core.settings import CONF
from models.cohort_differences import CohortDifference
from models.cohorts import CohortCalibration
from models.estimate import Estimate
from models.gate import Decision, Evidence, Gate, decide
from models.scoring_cost import ScoringCost

GATE = Gate(
    margin=0.002,
    stale_days=14,
    calibration=0.03,
    cohort_calibration=0.1,
    cohort_rows=1_000,
    frequent=500,
    cohort_margin=0.005,
    changed_told=0.4,
    changed_at_most=0.8,
    row_microseconds=100.0,
    megabytes=10.0,
)


def figures(low: float = 0.01, against: str = "champion", changed: float = 0.2) -> dict[tuple[str, str, str], Estimate]:
    return {
        (f"challenger_minus_{against}", "long_view", "primary"): Estimate(low + 0.01, low, low + 0.02),
        ("challenger_minus_champion", "value", "changed@5"): Estimate(changed, changed - 0.01, changed + 0.01),
    }


def held(
    ratio: float = 1.0, width: float = 0.01, cohort: str = "everyone", rows: int = 5_000, head: str = "long_view"
) -> CohortCalibration:
    observed = rows / 4
    return CohortCalibration(head, cohort, rows, ratio * observed, observed, ratio, ratio - width, ratio + width)


def ordered(value: float = 0.0, width: float = 0.01, cohort: str = "everyone", rows: int = 5_000) -> CohortDifference:
    return CohortDifference(cohort, rows, 100, value, value - width, value + width)


GOOD = Evidence(figures(), [held()], [ordered()], ScoringCost(microseconds=20.0, megabytes=1.0), champion_days=1)


def decided(**changes: Any) -> Decision:
    return decide(GATE, replace(GOOD, **changes), "new", "old")


@pytest.mark.parametrize(
    ("low", "days", "decision"),
    [
        (0.0001, 1, "promoted"),
        (0.0, 1, "kept"),
        (-0.001, 14, "kept"),
        (-0.001, 15, "promoted"),
        (-0.002, 15, "promoted"),
        (-0.0021, 15, "kept"),
    ],
)
def test_a_challenger_serves_only_if_better_or_beside_a_stale_champion_no_worse(
    low: float, days: int, decision: str
) -> None:
    assert decided(figures=figures(low), champion_days=days).decision == decision


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
    assert decided(calibrations=[held(), *also]).decision == decision


@pytest.mark.parametrize(
    ("also", "decision"),
    [
        (ordered(-0.016, 0.01, "new video"), "kept"),
        (ordered(-0.014, 0.01, "new video"), "promoted"),
        (ordered(-0.9, 0.01, "new video", rows=999), "promoted"),
    ],
    ids=["shown", "within the margin", "few rows"],
)
def test_harm_to_a_cohort_keeps_it_out_once_it_is_shown(also: CohortDifference, decision: str) -> None:
    found = decided(differences=[ordered(), also])
    assert found.decision == decision
    assert ("new video -0.0160 [-0.0260, -0.0060] of 5000 impressions" in " ".join(found.reasons)) == (
        decision == "kept"
    )


@pytest.mark.parametrize(
    ("changes", "decision", "told"),
    [
        ({"figures": figures(changed=0.4)}, "promoted", "0.400 [0.390, 0.410] of the first five places"),
        ({"figures": figures(changed=0.5)}, "promoted", "much of the feed will change"),
        ({"figures": figures(changed=0.81)}, "kept", "too much of the feed would change"),
        ({"cost": ScoringCost(101.0, 1.0)}, "kept", "takes more than 100 microseconds"),
        ({"cost": ScoringCost(99.0, 10.5)}, "kept", "10.50 megabytes, more than 10"),
    ],
    ids=["little", "much", "too much", "slow", "large"],
)
def test_how_much_changes_and_what_it_costs_is_told_and_bounded(
    changes: dict[str, Any], decision: str, told: str
) -> None:
    found = decided(**changes)
    assert found.decision == decision
    assert told in " ".join(found.reasons)


def test_reasons_are_the_same_however_long_scoring_took() -> None:
    assert decided(cost=ScoringCost(20.0, 1.0)) == decided(cost=ScoringCost(40.0, 1.0))


def test_reasons_hold_the_figures() -> None:
    off = [held(1.3), held(0.8, 0.02, "new user")]
    reasons = " ".join(decided(figures=figures(-0.01), calibrations=off, champion_days=20).reasons)
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
    for low, decision in ((0.01, "promoted"), (-0.01, "refused")):
        only = Evidence(figures(low, "popularity"), [], [], GOOD.cost, champion_days=0)
        assert decide(GATE, only, "new", None).decision == decision


def test_the_champion_again_is_kept_whatever_was_measured() -> None:
    found = decide(GATE, Evidence({}, [], [], GOOD.cost, champion_days=1), "same", "same")
    assert found.decision == "kept"
    assert "already champion" in found.reasons[0]


def without(system: str, metric: str) -> dict[tuple[str, str, str], Estimate]:
    return {key: one for key, one in figures().items() if (key[0], key[2]) != (system, metric)}


PRIMARY = ("challenger_minus_champion", "long_view", "primary")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"figures": without("challenger_minus_champion", "primary")}, "no primary of challenger_minus_champion"),
        ({"figures": figures() | {PRIMARY: Estimate(0.1)}}, "no interval of primary"),
        ({"figures": figures() | {PRIMARY: Estimate(0.1, math.nan, math.nan)}}, "no interval of primary"),
        ({"figures": without("challenger_minus_champion", "changed@5")}, "no changed@5"),
        ({"calibrations": [held(rows=1_000)]}, "predicted over observed of everyone"),
        ({"differences": [ordered(cohort="tag 3")]}, "no gauc of everyone"),
    ],
    ids=["no figure", "no interval", "no number", "no feeds", "no calibration", "no cohorts"],
)
def test_without_a_figure_nothing_is_decided(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ContractError, match=f"{told}.*nothing was promoted"):
        decided(**changes)


def test_the_gate_we_ship_loads() -> None:
    gate = load(Gate, CONF / "gate.toml")
    assert 0 < gate.calibration < gate.cohort_calibration < 1
    assert gate.margin >= 0
