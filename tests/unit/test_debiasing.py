"""What the study of debiasing counts by: pairs put right, weights against exposure, the way back to seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ContractError
from features.duration_buckets import UNKNOWN, duration_buckets
from models.metrics import list_sums
from models.pair_order import pair_sums
from models.watch_quantile import seconds_at
from reelfeed import documents
from reelfeed.debiasing import exposure_weights

ROWS = st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 4)), min_size=1, max_size=30)


@given(ROWS)
def test_where_truth_is_yes_or_no_the_pairs_put_right_are_those_of_auc(rows: list[tuple[int, bool, int]]) -> None:
    user, truth, score = (np.array(column) for column in zip(*rows, strict=True))
    right, pairs = pair_sums(user, truth.astype(float), score.astype(float)).T
    sums = list_sums(user, np.arange(len(user)), truth.astype(float), score.astype(float))
    positives = np.maximum(sums.positives, 1)
    assert np.allclose(np.divide(right, pairs, out=np.zeros(len(pairs)), where=pairs > 0), sums.ordered / positives)


def test_rare_videos_weigh_more_within_bounds() -> None:
    video = np.repeat([1, 2, 3], [1, 10, 989])
    weight = exposure_weights(video, most=20.0)
    assert weight.mean() == pytest.approx(1)
    rare, rarer, common = weight[[1, 0, -1]]
    assert rare == rarer
    assert rare / common == pytest.approx(20 / (1000 / 3 / 989))


def test_a_percentile_is_answered_in_seconds_of_its_own_bucket() -> None:
    known = (np.array([0, 0, 0, 1, 1, 1]), np.array([1.0, 2.0, 3.0, 10.0, 20.0, 30.0]))
    found = seconds_at(np.array([0, 1, 1, 7]), np.array([0.5, 0.5, 1.2, 0.0]), known)
    assert found.tolist() == [2.0, 20.0, 30.0, 1.0]


def test_lengths_have_the_bucket_whose_edge_they_reach() -> None:
    assert duration_buckets(np.array([0.0, 4.99, 5.0, 180.0, np.nan])).tolist() == [0, 0, 1, 10, UNKNOWN]


def test_a_block_is_written_between_its_marks_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "page.md"
    page.write_text("above\n<!-- a: begin -->\nold\n<!-- a: end -->\nbetween\n<!-- b: begin -->\n<!-- b: end -->\n")
    monkeypatch.setattr(documents, "ROOT", tmp_path)
    documents.write_block("page.md", "a", "new")
    assert page.read_text() == (
        "above\n<!-- a: begin -->\nnew\n<!-- a: end -->\nbetween\n<!-- b: begin -->\n<!-- b: end -->\n"
    )
    with pytest.raises(ContractError, match="no marks of block 'c'"):
        documents.write_block("page.md", "c", "new")
