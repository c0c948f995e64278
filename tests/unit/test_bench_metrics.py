"""The benchmark of metrics times two ways to the same figure."""

from __future__ import annotations

import pytest

from models.metrics import from_sums
from reelfeed.bench_metrics import Size, drawn, everything, peer


def test_scikit_learn_user_by_user_finds_the_same_gauc() -> None:
    size = Size(rows=3_000, users=300)
    rows = drawn(size)
    sums = rows.sums(rows.scores)
    both = int((sums.positives > 0).sum())
    found = peer(Size(size.rows, size.users, subset=both))
    assert found["users"] == both
    gauc = from_sums(sums.columns.sum(axis=0, keepdims=True))["gauc"][0]
    assert found["value"] == pytest.approx(gauc, abs=1e-12)
    assert {"lists s", "intervals processor", "metrics s"} <= everything(size).keys()
