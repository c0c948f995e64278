"""Challengers of known quality through the real evaluation: who is promoted, who is kept, how often by chance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted import evidence, rows_of, scored, world

from core.config import load
from core.settings import CONF
from models.bootstrap import estimates
from models.gate import HEAD, Evidence, Gate, decide
from models.metrics import list_sums

GATE = load(Gate, CONF / "gate.toml")
CHANCE = world(5)
CHAMPION = scored(CHANCE, 0.8, 2)
BETTER = scored(CHANCE, 0.3, 3)
HARMFUL = scored(CHANCE, 0.3, 3, noise_of_new_videos=10)


def miscalibrated() -> np.ndarray:
    """The better one, whose predictions are a seventh too high in the same order."""
    found = BETTER.copy()
    found[:, 0] = 1 - (1 - found[:, 0]) ** 1.3
    return found


def evidence_of(challenger: np.ndarray, days: int = 1) -> Evidence:
    return evidence(rows_of(CHANCE, 5), challenger, CHAMPION, seed=4, days=days, least_rows=GATE.cohort_rows)


@pytest.mark.parametrize(
    ("challenger", "decision", "told"),
    [
        (BETTER, "promoted", "is better than champion"),
        (scored(CHANCE, 1.5, 3), "kept", "not shown to be better than champion: primary of long_view differs by -0.0"),
        (miscalibrated(), "kept", "beyond 0.97 to 1.03"),
        (HARMFUL, "kept", "worse ordered by more than 0.005 GAUC"),
    ],
    ids=["better", "worse", "miscalibrated", "harms new videos"],
)
def test_only_the_better_one_serves(challenger: np.ndarray, decision: str, told: str) -> None:
    found = decide(GATE, evidence_of(challenger), "new", "old")
    assert found.decision == decision
    assert told in " ".join(found.reasons)


def test_harm_is_kept_out_for_what_it_does_to_one_cohort_alone() -> None:
    found = decide(GATE, evidence_of(HARMFUL), "new", "old")
    better, calibrated, harm, *_ = found.reasons
    assert "is better than champion" in better
    assert "in none of" in calibrated
    assert "for 1 of" in harm
    assert "new video -0.0" in harm


def test_beside_a_stale_champion_no_worse_suffices_and_worse_does_not() -> None:
    nearly = CHAMPION + 1e-3 * np.random.default_rng(5).normal(size=CHAMPION.shape)
    for days, decision in ((GATE.stale_days, "kept"), (GATE.stale_days + 1, "promoted")):
        found = decide(GATE, evidence_of(nearly, days), "new", "old")
        assert found.decision == decision
    assert "has served for 15 days, more than 14, so that no worse suffices" in found.reasons[0]
    worse = decide(GATE, evidence_of(scored(CHANCE, 1.5, 3), days=30), "new", "old")
    assert worse.decision == "kept"
    assert "not shown to be no worse than champion" in worse.reasons[0]


def test_an_equal_one_is_promoted_at_most_one_time_in_twenty() -> None:
    other, promoted = evidence_of(CHAMPION), 0
    for seed in range(200):
        chance = world(seed)
        rows = rows_of(chance, seed)
        labels = rows.label("long_view").astype(np.float64)
        noise = np.random.default_rng([4, seed])
        logit = np.log(chance / (1 - chance))
        scores = {name: logit + noise.normal(size=logit.shape) for name in ("challenger", "champion")}
        sums = {name: list_sums(rows.user, rows.video, labels, score) for name, score in scores.items()}
        found = estimates(sums, [("challenger", "champion")], seed)
        figures = dict(other.figures) | {(system, HEAD, metric): one for (system, metric), one in found.items()}
        promoted += decide(GATE, replace(other, figures=figures), "new", "old").decision == "promoted"
    # The nominal rate is one in forty.
    assert 1 <= promoted <= 10
