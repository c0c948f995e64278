"""On KuaiRand's real rows: the ranker beats smoothed popularity on the last two days, and no leak makes it seem so."""

from __future__ import annotations

from datetime import date

import pytest
from kuairand import LAST, kuairand_request, needs_kuairand

from core.lake import Lake
from core.run import run_jobs
from core.settings import Settings
from core.tables.evaluations import TABLE as EVALUATIONS
from core.tables.training_examples import TABLE as TRAINING_EXAMPLES
from jobs._registry import all_jobs

pytestmark = needs_kuairand


@pytest.fixture(scope="module")
def figures(kuairand: Settings) -> dict[tuple[str, str], dict[str, float]]:
    """The figures of long_view by system and metric: trained to 30 April, tested on 3 and 4 May, lists frozen."""
    run_jobs(all_jobs(), ("build_training_set", "train_ranker", "evaluate"), kuairand_request(LAST), kuairand)
    lake = Lake(kuairand.lake)
    examples = lake.read_arrow(TRAINING_EXAMPLES, [LAST], ["part", "snapshot_ds"]).to_pylist()
    assert {row["snapshot_ds"] for row in examples if row["part"] == "test"} == {date(2022, 5, 2)}
    rows = lake.read_arrow(EVALUATIONS, [LAST]).to_pylist()
    return {(row["system"], row["metric"]): row for row in rows if row["head"] == "long_view"}


@pytest.mark.parametrize("metric", ["gauc", "ndcg@5", "primary"])
def test_the_ranker_beats_smoothed_popularity(figures: dict[tuple[str, str], dict[str, float]], metric: str) -> None:
    assert figures["challenger_minus_popularity", metric]["low"] > 0


def test_the_placebo_does_not_win(figures: dict[tuple[str, str], dict[str, float]]) -> None:
    placebo = figures["placebo", "gauc"]
    assert placebo["low"] <= 0.5 <= placebo["high"]
    assert figures["oracle", "gauc"]["value"] == 1.0
