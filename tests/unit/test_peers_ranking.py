"""The peers that order logged impressions, as far as they can be judged without their environment."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from core.settings import ROOT
from models.metrics import from_sums, list_sums

FOLDER = ROOT / "reelfeed" / "peers"


@dataclass(frozen=True)
class Peers:
    ranking: ModuleType
    rates: ModuleType
    run: ModuleType
    shown: ModuleType
    tab_and_video_rates: ModuleType
    target_encoded_lightgbm: ModuleType


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Peers]:
    """The files imported as run.py does: by their bare names."""
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    yield Peers(*[importlib.import_module(field.name) for field in fields(Peers)])
    for name in set(sys.modules) - before:
        if name in {file.stem for file in FOLDER.glob("*.py")}:
            del sys.modules[name]


def impressions(*rows: tuple[int, int, int, str, bool]) -> pd.DataFrame:
    made = pd.DataFrame(rows, columns=["user_id", "video_id", "surface", "shown_on", "is_long_view"])
    return made.assign(author_id=made["video_id"] % 2, tag_id=[None, *[3] * (len(made) - 1)], shown_hour=9)


LEARNT = impressions(
    (1, 10, 1, "2022-05-01", True),
    (1, 20, 1, "2022-05-01", False),
    (2, 20, 4, "2022-05-02", True),
    (2, 10, 4, "2022-05-02", True),
    (3, 20, 4, "2022-05-03", False),
)
ASKED = impressions((1, 20, 4, "2022-05-04", True), (2, 99, 1, "2022-05-04", False))


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    LEARNT.to_parquet(tmp_path / "learnt.parquet")
    ASKED.drop(columns="is_long_view").to_parquet(tmp_path / "asked.parquet")
    return tmp_path


def test_what_was_shown_is_read_with_a_tag_for_videos_without_one(peers: Peers, rows: Path) -> None:
    shown = peers.shown.read_shown(rows)
    assert shown.learnt["tag_id"].tolist() == [peers.shown.NO_TAG, 3, 3, 3, 3]
    assert shown.labels.tolist() == [1, 0, 1, 1, 0]
    assert "is_long_view" not in shown.asked


def test_all_that_is_missing_is_named_at_once(peers: Peers, rows: Path) -> None:
    (rows / "asked.parquet").unlink()
    LEARNT.drop(columns="surface").to_parquet(rows / "learnt.parquet")
    fault = r"no column surface.*asked.parquet is missing.*make bench-quality"
    with pytest.raises(peers.shown.RowsError, match=fault):
        peers.shown.read_shown(rows)


def test_the_last_days_are_asked_and_no_longer_learnt(peers: Peers, rows: Path) -> None:
    earlier, labels = peers.shown.last_days_held_out(peers.shown.read_shown(rows), days=2)
    assert earlier.learnt["user_id"].tolist() == [1, 1]
    assert earlier.asked["user_id"].tolist() == [2, 2, 3]
    assert labels.tolist() == [1, 1, 0]


def test_rates_are_shrunk_and_the_unseen_have_that_of_all(peers: Peers, rows: Path) -> None:
    shown = peers.shown.read_shown(rows)
    found = peers.rates.rates_of(shown.asked, shown, "video_id", 2.0)
    assert found == pytest.approx([(1 + 2 * 0.6) / (3 + 2), 0.6])


def test_tab_and_video_add_up_as_log_odds(peers: Peers, rows: Path) -> None:
    shown = peers.shown.read_shown(rows)
    scores = peers.tab_and_video_rates.score(shown, {"prior_strength": 2.0}, seed=1)
    tab = [(2 + 1.2) / 5, (1 + 1.2) / 4]
    assert scores == pytest.approx([logit(tab[0]) + logit(2.2 / 5), logit(tab[1]) + logit(0.6)])


def test_gauc_of_settings_is_that_of_the_report(peers: Peers) -> None:
    draw = np.random.default_rng(3)
    users, scores = draw.integers(0, 9, 80), draw.integers(0, 5, 80).astype(float)
    labels = (draw.random(80) < 0.4).astype(float)
    sums = list_sums(users, np.arange(80), labels, scores).columns.sum(axis=0, keepdims=True)
    assert peers.ranking.gauc(users, labels, scores) == pytest.approx(from_sums(sums)["gauc"][0])


def test_a_run_leaves_a_score_for_every_asked_row(peers: Peers, rows: Path, tmp_path: Path) -> None:
    names = ["tab_and_video_rates", "target_encoded_lightgbm"]
    out = tmp_path / "out"
    done = peers.run.main(["ranking", "--rows", str(rows), "--out", str(out), "--seeds", "7", "8", "--peers", *names])
    assert done == 0
    assert {path.stem: len(pd.read_parquet(path)) for path in out.iterdir()} == {f"{name}-7": 2 for name in names}


def test_rows_that_are_missing_end_a_run_with_2(
    peers: Peers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert peers.run.main(["ranking", "--rows", str(tmp_path), "--tune"]) == 2
    assert "learnt.parquet is missing" in capsys.readouterr().err


def test_every_peer_of_the_ranking_has_a_file_of_its_name(peers: Peers) -> None:
    assert all((FOLDER / f"{name}.py").exists() for name in peers.ranking.NAMES)
