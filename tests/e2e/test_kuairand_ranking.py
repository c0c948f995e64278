"""On KuaiRand's real rows: the ranker beats smoothed popularity on the last two days, and no leak makes it seem so."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from core.lake import Lake
from core.recipe import load_recipe
from core.run import Request, run_jobs
from core.settings import ROOT, load_settings, with_home
from core.tables.evaluations import TABLE as EVALUATIONS
from core.tables.training_examples import TABLE as TRAINING_EXAMPLES
from jobs._registry import all_jobs

RELEASE = Path(os.environ.get("REELFEED_KUAIRAND_DIR", ROOT.parent / "shared" / "data" / "kuairand-pure-slice"))
FIRST, LAST = date(2022, 4, 25), date(2022, 5, 4)

pytestmark = pytest.mark.skipif(
    not RELEASE.exists(), reason="no KuaiRand files: set REELFEED_KUAIRAND_DIR to the release's folder"
)


@pytest.fixture(scope="module")
def figures(spark: object, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, float]]:
    """The figures of long_view by system and metric: trained to 30 April, tested on 3 and 4 May, lists frozen."""
    local = load_settings("local")
    settings = with_home(
        replace(local, spark=replace(local.spark, shuffle_partitions=2)), tmp_path_factory.mktemp("home")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("REELFEED_HOME", raising=False)
        request = Request(LAST, FIRST, load_recipe("for_you"), "kuairand", str(RELEASE))
        names = ("ingest_events", "build_features", "build_training_set", "train_ranker", "evaluate")
        run_jobs(all_jobs(), names, request, settings)
        lake = Lake(settings.lake)
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
