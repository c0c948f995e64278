"""The peers of `make bench-quality`, as far as they can be judged without their environment."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.settings import ROOT

FOLDER = ROOT / "reelfeed" / "peers"
FILES = sorted(FOLDER.glob("*.py"))
THEIR_PACKAGES = {"implicit", "lightgbm", "myfm", "numpy", "pandas", "pyarrow", "rectools", "scipy", "threadpoolctl"}


@dataclass(frozen=True)
class Peers:
    rows: ModuleType
    lists: ModuleType
    retrieval: ModuleType
    run: ModuleType


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Peers]:
    """The files that need no package of the peers alone, imported as run.py does: by their bare names."""
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    names = [field.name for field in fields(Peers)]
    yield Peers(*[importlib.import_module(name) for name in names])
    for name in set(sys.modules) - before:
        if name in {file.stem for file in FILES}:
            del sys.modules[name]


def impressions(*rows: tuple[int, int, str, bool]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["user_id", "video_id", "shown_on", "is_long_view"])


def rows_of(peers: Peers, shown: pd.DataFrame, pool: Sequence[int]) -> Any:
    videos = pd.DataFrame({"video_id": pool})
    return peers.rows.Rows(peers.rows.pairs_of(shown), videos, pd.DataFrame(), np.array([], np.int64))


SHOWN = impressions(
    (1, 10, "2022-05-01", True),
    (1, 20, "2022-05-01", False),
    (2, 20, "2022-05-01", True),
    (2, 30, "2022-05-02", True),
    (2, 30, "2022-05-03", False),
    (3, 30, "2022-05-03", True),
    (3, 99, "2022-05-03", True),
)


@pytest.mark.parametrize("name", ["peers", "peers-ranking"])
def test_lock_is_hashed_and_names_no_registry(name: str) -> None:
    lock = (ROOT / "requirements" / f"{name}-lock.txt").read_text("utf-8")
    packages = re.split(r"\n(?=\S)", lock.strip())
    assert all("==" in each and "--hash=sha256:" in each for each in packages)
    assert "://" not in lock
    for line in (ROOT / "requirements" / f"{name}.in").read_text("utf-8").splitlines():
        if wanted := line.partition("#")[0].strip():
            assert re.search(rf"^{re.escape(wanted)}\b", lock, re.MULTILINE), f"make lock: {wanted} isn't in the lock"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_import_only_each_other_and_the_peers_packages(path: Path) -> None:
    allowed = sys.stdlib_module_names | {file.stem for file in FILES} | THEIR_PACKAGES
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        assert {name.partition(".")[0] for name in names} <= allowed


def test_pairs_are_dated_by_their_first_day(peers: Peers) -> None:
    pairs = peers.rows.pairs_of(SHOWN).set_index(["user_id", "video_id"])
    assert pairs.loc[(2, 30)].to_dict() == {"shown_on": pd.Timestamp("2022-05-02"), "long_views": 1}


def test_held_out_days_hold_new_long_views_only(peers: Peers) -> None:
    earlier, truth = peers.rows.held_out(rows_of(peers, SHOWN, [10, 20, 30]), days=1)
    assert sorted(map(tuple, truth.to_numpy())) == [(3, 30), (3, 99)]
    assert earlier.pairs["shown_on"].max() == pd.Timestamp("2022-05-02")
    assert earlier.ask.tolist() == [3]


def test_lists_are_of_the_pool_unseen_and_filled_with_the_popular(peers: Peers) -> None:
    rows = rows_of(peers, SHOWN, pool=[10, 20, 30, 40])
    users, videos = np.array([1, 2, 7]), rows.videos.tolist()
    proposed = np.array([[videos.index(99), videos.index(40), videos.index(10)], [-1, -1, -1], [videos.index(40)] * 3])
    places = peers.lists.completed(proposed, rows, users, length=3)
    found = [[videos[place] if place >= 0 else None for place in row] for row in places]
    assert found == [[40, 30, None], [10, 40, None], [40, 30, 10]]


def test_lists_are_written_as_lists_of_videos(peers: Peers, tmp_path: Path) -> None:
    rows = rows_of(peers, SHOWN, pool=[10, 20, 30])
    path = tmp_path / "x-1.parquet"
    peers.run.write(path, peers.lists.table_of(np.array([[2, -1], [0, 1]]), rows, np.array([1, 2])), {"peer": "x"})
    assert pd.read_parquet(path)["videos"].map(list).tolist() == [[30], [10, 20]]
    assert [each.name for each in tmp_path.iterdir()] == ["x-1.parquet"]


def test_recall_is_a_mean_over_users(peers: Peers) -> None:
    rows = rows_of(peers, SHOWN, pool=[10, 20, 30])
    truth = pd.DataFrame({"user_id": [1, 1, 2], "video_id": [10, 30, 20]})
    assert peers.retrieval.recall(np.array([[0, 1], [0, -1]]), truth, rows, np.array([1, 2])) == pytest.approx(0.25)


def test_all_that_is_missing_is_named_at_once(peers: Peers, tmp_path: Path) -> None:
    pd.DataFrame({"user_id": [1]}).to_parquet(tmp_path / "users.parquet")
    with pytest.raises(peers.rows.RowsError, match=r"train.parquet is missing.*no column activity.*make bench-quality"):
        peers.rows.read_rows(tmp_path)
