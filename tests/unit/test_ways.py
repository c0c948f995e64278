"""Ways to order lists: each does to the ranker what it says, and the one that helps is the one that is chosen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.settings import Settings
from features.catalog import feature_names
from models.examples import Examples
from models.heads import head_labels
from models.metrics import auc
from reelfeed.inputs import best, judged, text
from reelfeed.refits import long_views
from reelfeed.source_scores import SOURCES
from reelfeed.ways import MACHINE, RANKER, RATES, WAYS, Told, Way, log_odds

ROWS, JUDGED = 4_000, 2_000


def made(rows: int, seed: int) -> tuple[Examples, np.ndarray]:
    """Rows whose long views hang on one feature and, twice as much, on something that is no feature; and that."""
    draw = np.random.default_rng(seed)
    matrix = draw.normal(size=(rows, len(feature_names()))).astype(np.float32)
    hidden = 2 * draw.normal(size=rows)
    labels = np.zeros((rows, len(head_labels())), np.float32)
    odds = matrix[:, feature_names().index("content__duration")] + hidden
    labels[:, head_labels().index("long_view")] = draw.random(rows) < 1 / (1 + np.exp(-odds))
    ids = np.arange(rows)
    part = np.where(ids < rows * 3 // 4, 0, 1).astype(np.int8)
    made_of = Examples(
        features=matrix,
        labels=labels,
        user=ids % 100,
        video=ids,
        shown_at=ids,
        snapshot=np.zeros(rows, np.int32),
        part=part,
        popularity=draw.random(rows),
        weight=np.ones(rows, np.float32),
        label_names=head_labels(),
    )
    return made_of, hidden


@pytest.fixture(scope="module")
def told() -> Told:
    """Scores that say nothing, but for the machine's, which knows what features don't."""
    (train, knows), (test, knows_test) = made(ROWS, 1), made(JUDGED, 2)
    draw = np.random.default_rng(3)
    noise = {name: (draw.normal(size=ROWS), draw.normal(size=JUDGED)) for name in (RATES, *SOURCES)}
    return Told(train, test, {**noise, MACHINE: (knows, knows_test)})


def quality(told: Told, way: Way) -> float:
    return auc(long_views(told.judged), log_odds(told, way, seed=1, threads=1))


@pytest.mark.parametrize("how", [Way(inputs=(MACHINE,)), Way(start=MACHINE), Way(averaged=MACHINE)])
def test_what_a_score_knows_reaches_the_order(told: Told, how: Way) -> None:
    assert quality(told, how) > quality(told, Way()) + 0.1


def test_a_score_that_is_not_known_does_not_stop_boosting_from_it(told: Told) -> None:
    train, test = told.scores[MACHINE]
    unknown = replace(told, scores={MACHINE: (np.where(np.arange(ROWS) < 50, np.nan, train), test)})
    assert quality(unknown, Way(start=MACHINE)) > quality(told, Way()) + 0.1


def test_a_group_that_the_label_hangs_on_is_missed(told: Told) -> None:
    assert quality(told, Way(without=("content",))) < quality(told, Way()) - 0.05


def test_bags_and_all_days_are_other_boosters_of_the_same_kind(told: Told) -> None:
    plain = log_odds(told, Way(), seed=1, threads=1)
    for way in (Way(bags=2), Way(all_days=True)):
        odds = log_odds(told, way, seed=1, threads=1)
        assert not np.array_equal(odds, plain)
        assert np.corrcoef(odds, plain)[0, 1] > 0.8


def test_the_way_that_helps_on_the_validation_days_is_chosen_and_told(told: Told, settings: Settings) -> None:
    ways = {name: way for name, way in WAYS.items() if not way.parameters and way.bags == 1}
    found = judged(settings, told, ways, seeds=[1])
    chosen = best(found)
    assert MACHINE in (*WAYS[chosen].inputs, WAYS[chosen].start)
    lines = text(found, found, chosen).splitlines()
    assert any(chosen in line and "Most surely better on the validation days" in line for line in lines)
    assert all(sum(line.startswith(f"| {name} |") for line in lines) == 2 for name in found.sums)
    nothing = {name: found.sums[name] for name in (RANKER, "with the rates' log odds")}
    assert best(replace(found, sums=nothing)) == RANKER
