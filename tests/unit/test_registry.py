"""Tracking and registry: one run per night, one version per content, aliases that follow the newest night."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from core import tracking
from core.errors import MissingDataError
from core.settings import Settings, load_settings, with_home
from models import registry
from models.calibration import NONE
from models.ranker import HeadModel, Ranker

DAYS = [date(2026, 1, day) for day in (10, 11, 12)]


def ranker(constant: float) -> Ranker:
    return Ranker(("a", "b"), (), (HeadModel("long_view", "binary", "", constant, NONE),))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A scratch MLflow, shared, since making its database takes seconds; each test uses a recipe of its own."""
    folder = tmp_path_factory.mktemp("mlflow") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REELFEED_HOME", str(folder))
        yield with_home(load_settings("local"), folder)


def logged(home: Settings, recipe: str, constant: float) -> int:
    with tracking.run(home, "tests", f"{recipe} {constant}"):
        return registry.log_ranker(home, recipe, ranker(constant))


def test_what_is_registered_comes_back_without_unpickling(home: Settings) -> None:
    version = logged(home, "back", 0.25)
    assert registry.load_version(home, "back", version) == ranker(0.25)
    files = {file.suffix for file in (home.home_path / "mlartifacts").rglob("*") if file.is_file()}
    assert not files & {".pkl", ".pickle", ".joblib"}


def test_the_same_content_is_registered_once(home: Settings) -> None:
    first = logged(home, "once", 0.25)
    assert logged(home, "once", 0.5) != first
    assert logged(home, "once", 0.25) == first


def test_aliases_follow_the_newest_night(home: Settings) -> None:
    old, new = logged(home, "aliases", 0.1), logged(home, "aliases", 0.2)
    assert registry.champion(home, "aliases") is None
    registry.set_champion(home, "aliases", old, DAYS[0])
    registry.set_champion(home, "aliases", new, DAYS[2])
    registry.set_champion(home, "aliases", old, DAYS[1])
    assert registry.champion(home, "aliases") == (ranker(0.2), new)
    aliases = tracking.connect(home).get_registered_model("reelfeed-aliases").aliases
    assert aliases["previous"] == old
    assert registry.champion(home, "aliases", before=DAYS[0]) is None
    assert registry.champion(home, "aliases", before=DAYS[2]) == (ranker(0.1), old)


def test_an_unknown_recipe_has_no_champion_and_an_unknown_version_is_an_error(home: Settings) -> None:
    assert registry.champion(home, "nobody") is None
    assert registry.champion(home, "nobody", before=DAYS[0]) is None
    with pytest.raises(MissingDataError, match="version 7"):
        registry.load_version(home, "nobody", 7)


def test_the_same_night_continues_its_run(home: Settings) -> None:
    import mlflow

    with tracking.run(home, "tests", "night", params={"seed": 1}) as first:
        mlflow.log_metric("loss", 1.0)
    with tracking.run(home, "tests", "night", params={"seed": 1}) as again:
        mlflow.log_metric("loss", 0.5)
    assert again.info.run_id == first.info.run_id
    assert tracking.connect(home).get_run(first.info.run_id).data.metrics == {"loss": 0.5}


def test_other_parameters_are_another_run_and_the_first_stays_as_it_was(home: Settings) -> None:
    with tracking.run(home, "tests", "changed", params={"seed": 1}) as first:
        pass
    with tracking.run(home, "tests", "changed", params={"seed": 2}) as second:
        pass
    assert second.info.run_id != first.info.run_id
    with tracking.run(home, "tests", "changed") as third:
        pass
    assert third.info.run_id == second.info.run_id
    assert tracking.connect(home).get_run(first.info.run_id).data.params == {"seed": "1"}


def test_a_run_that_fails_says_so(home: Settings) -> None:
    with pytest.raises(ValueError, match="broken"), tracking.run(home, "tests", "failing") as failing:
        raise ValueError("broken")
    assert tracking.connect(home).get_run(failing.info.run_id).info.status == "FAILED"


def test_artifacts_stay_below_home(home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.chdir(tmp_path)
    with tracking.run(home, "tests", "artifacts"):
        mlflow.log_text("here", "note.txt")
    assert list(tmp_path.iterdir()) == []
    assert [file.read_text() for file in (home.home_path / "mlartifacts").rglob("note.txt")] == ["here"]


def test_a_dead_server_is_one_clear_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    settings = replace(load_settings("local"), mlflow_uri=f"http://127.0.0.1:{port}")
    with pytest.raises(MissingDataError, match="does not answer"):
        tracking.connect(settings)


def test_predictions_of_the_champion_are_its_own(home: Settings) -> None:
    version = logged(home, "own", 0.75)
    registry.set_champion(home, "own", version, DAYS[0])
    found = registry.champion(home, "own")
    assert found is not None
    assert (found[0].predict(np.zeros((2, 2), np.float32)) == 0.75).all()


def test_the_commit_is_what_the_checkout_says(tmp_path: Path) -> None:
    git = tmp_path / ".git"
    assert tracking.commit(tmp_path) == ""
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert tracking.commit(tmp_path) == "", "no commit yet"
    (git / "packed-refs").write_text(f"# pack-refs with: peeled\n{'a' * 40} refs/heads/main\n")
    assert tracking.commit(tmp_path) == "a" * 40
    (git / "refs" / "heads" / "main").write_text(f"{'b' * 40}\n")
    assert tracking.commit(tmp_path) == "b" * 40
    tree = tmp_path / "tree"
    (git / "worktrees" / "tree").mkdir(parents=True)
    (git / "worktrees" / "tree" / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "worktrees" / "tree" / "commondir").write_text("../..\n")
    tree.mkdir()
    (tree / ".git").write_text(f"gitdir: {git / 'worktrees' / 'tree'}\n")
    assert tracking.commit(tree) == "b" * 40
    (git / "HEAD").write_text(f"{'c' * 40}\n")
    assert tracking.commit(tmp_path) == "c" * 40
