"""Scores put beside a ranker's features: of the past alone, and of the row that they say they are of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples_of
from hypothesis import strategies as st
from written_tables import write

from core.errors import ContractError
from core.lake import Lake
from core.settings import Settings
from core.tables.impressions import TABLE as IMPRESSIONS
from models.examples import Examples
from models.machine import FIELDS, NO_TAG
from reelfeed.input_scores import (
    RATE_STRENGTH,
    Impressions,
    Scorer,
    fields_of,
    impressions,
    machine,
    out_of_fold,
    rates,
)

ROWS, DAYS = 600, 6
DRAW = np.random.default_rng(3)
MET = Impressions(
    fields=DRAW.integers(0, 8, (ROWS, len(FIELDS))),
    shown_at=np.arange(ROWS),
    arrived=np.sort(DRAW.integers(0, DAYS, ROWS)),
    is_long_view=(DRAW.random(ROWS) < 0.4).astype(float),
)
MAKERS: dict[str, Callable[[Impressions], Callable[[int], Scorer | None]]] = {
    "machine": lambda known: machine(known, seed=1, rank=1),
    "rates": rates,
}


@pytest.mark.parametrize("name", MAKERS)
@given(seed=st.integers(0, 1_000), snapshot=st.sampled_from([1, 3]))
@examples_of(max_examples=8)
def test_no_score_hangs_on_what_arrived_after_its_snapshot(name: str, seed: int, snapshot: int) -> None:
    draw = np.random.default_rng(seed)
    other = np.where(MET.arrived > snapshot, draw.random(ROWS) < 0.5, MET.is_long_view).astype(float)
    changed = replace(MET, is_long_view=other)
    days = np.full(ROWS, snapshot)
    assert np.array_equal(*(out_of_fold(days, MET.fields, MAKERS[name](known)) for known in (MET, changed)))


@pytest.mark.parametrize("name", MAKERS)
def test_a_score_hangs_on_what_arrived_before(name: str) -> None:
    changed = replace(MET, is_long_view=1 - MET.is_long_view)
    days = np.full(ROWS, 3)
    one, other = (out_of_fold(days, MET.fields, MAKERS[name](known)) for known in (MET, changed))
    assert not np.allclose(one, other)


def test_before_anything_arrived_there_is_no_score() -> None:
    days = np.where(np.arange(ROWS) < 10, -1, 2)
    scores = out_of_fold(days, MET.fields, rates(MET))
    assert np.isnan(scores[:10]).all()
    assert np.isfinite(scores[10:]).all()


def test_rates_are_shrunk_to_that_of_all() -> None:
    fields = np.zeros((3, len(FIELDS)), int)
    fields[:, FIELDS.index("video_id")] = [1, 1, 2]
    known = Impressions(fields, np.arange(3), np.zeros(3, int), np.array([1.0, 0.0, 1.0]))
    stranger = np.full((1, len(FIELDS)), 9)
    score = rates(known)(0)
    assert score is not None
    all_odds = np.log(2 / 1)
    of_two = (2 + RATE_STRENGTH * 2 / 3) / (1 + RATE_STRENGTH), (1 + RATE_STRENGTH * 2 / 3) / (2 + RATE_STRENGTH)
    assert score(stranger) == pytest.approx([2 * all_odds])
    assert score(fields)[0] == pytest.approx(all_odds + np.log(of_two[1] / (1 - of_two[1])))


def test_every_row_finds_its_own_impression(lake: Lake, settings: Settings) -> None:
    first, start = date(2026, 1, 5), datetime(2026, 1, 5, 12, tzinfo=UTC)
    for day in range(2):
        rows = [
            {
                "user_id": user, "video_id": 10 + day, "author_id": 7, "surface": user, "duration_ms": 16_000,
                "shown_at": start + timedelta(days=day, minutes=user), "shown_on": first + timedelta(days=day),
                "shown_hour": 12, "is_long_view": user == 2,
            }
            for user in (3, 2)
        ]  # fmt: skip
        write(lake, IMPRESSIONS, first + timedelta(days=day), rows)
    known = impressions(settings, first + timedelta(days=1))
    assert known.fields[:, 0].tolist() == [2, 2, 3, 3]
    assert known.is_long_view.tolist() == [1, 1, 0, 0]
    assert (known.arrived - known.arrived.min()).tolist() == [0, 1, 0, 1]
    assert len(impressions(settings, first).arrived) == 2
    picked, some = [3, 0], np.zeros(2)
    asked = Examples(
        user=known.fields[picked, 0],
        video=known.fields[picked, 1],
        shown_at=known.shown_at[picked],
        **dict.fromkeys(("features", "labels", "snapshot", "part", "popularity", "weight"), some),
        label_names=(),
    )
    with pytest.raises(ContractError, match="2 of 2 training examples are no impressions"):
        fields_of(replace(asked, video=asked.video + 50), known)
    assert fields_of(asked, known).tolist() == [[3, 11, 7, NO_TAG, 3, 4], [2, 10, 7, NO_TAG, 2, 4]]
