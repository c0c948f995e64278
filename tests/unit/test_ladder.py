"""Kinds of knowledge left out: what the label hangs on is missed, and nothing else."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from core.recipe import load_recipe
from core.run import Request
from core.settings import Settings
from features.catalog import feature_names, features
from models.examples import Examples
from models.heads import head_labels
from reelfeed import ablation, documents

ROWS, TEST_ROWS = 4_000, 1_500


def made(rows: int, seed: int) -> Examples:
    """Rows whose long views hang on the rates of their tab and on nothing else."""
    draw = np.random.default_rng(seed)
    matrix = draw.normal(size=(rows, len(feature_names()))).astype(np.float32)
    told = next(place for place, name in enumerate(feature_names()) if name.startswith("surface_reception__"))
    labels = np.zeros((rows, len(head_labels())), np.float32)
    labels[:, head_labels().index("long_view")] = draw.random(rows) < 1 / (1 + np.exp(-2 * matrix[:, told]))
    ids = np.arange(rows)
    part = np.where(ids < rows * 3 // 4, 0, 1).astype(np.int8)
    noise, ones, day = draw.random(rows), np.ones(rows, np.float32), np.zeros(rows, np.int32)
    return Examples(
        features=matrix,
        labels=labels,
        user=ids % 100,
        video=ids,
        shown_at=ids,
        snapshot=day,
        part=part,
        popularity=noise,
        weight=ones,
        label_names=head_labels(),
    )


def test_every_kind_names_groups_that_there_are() -> None:
    assert {group for groups in ablation.RUNGS.values() for group in groups} <= {each.group for each in features()}


def test_only_what_the_label_hangs_on_is_missed(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "ablation.md").write_text("<!-- ladder: begin -->\n<!-- ladder: end -->\n")
    monkeypatch.setattr(documents, "ROOT", tmp_path)
    monkeypatch.setattr(ablation, "parts", lambda *_: (made(ROWS, 1), made(TEST_ROWS, 2)))
    day = date(2026, 1, 14)

    text = ablation.ladder(settings, Request(day, day, load_recipe("for_you"), "simulated", ""), seeds=1)

    assert text in (tmp_path / "docs" / "ablation.md").read_text()
    lost = {line.split(" | ")[0].removeprefix("| "): line.split(" | ")[3] for line in text.splitlines()[5:]}
    low = {name: float(re.findall(r"[-+][\d.]+", figure)[1]) for name, figure in lost.items()}
    assert low["without tabs"] > 0.2
    assert low["popularity"] > 0.2
    assert all(low[f"without {kind}"] < 0.02 for kind in ablation.RUNGS if kind != "tabs")
