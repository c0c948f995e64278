"""The index of embeddings: it names what the vectors say, is switched whole or not at all, refuses broken vectors."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from written_tables import write as put

from core.errors import ContractError, MissingDataError
from core.lake import Lake
from core.recipe import load_recipe
from core.run import Request, run_jobs
from core.settings import Settings, load_settings, with_home
from core.tables.embeddings import TABLE as EMBEDDINGS
from jobs._registry import all_jobs
from models import nearest
from models.retrieval_index import STAGED, Vectors, load, served, write

MONDAY, TUESDAY, WEDNESDAY = (date(2026, 1, day) for day in (5, 6, 7))
USERS, VIDEOS, DIMENSIONS = 40, 300, 8
RECIPE = load_recipe("for_you")
TOLD = {"night": "2026-01-05"}
DRAW = np.random.default_rng(7)
OF_USERS, OF_VIDEOS = (DRAW.normal(size=(rows, DIMENSIONS)).astype(np.float32) for rows in (USERS, VIDEOS))
VIDEO_IDS = np.arange(VIDEOS) * 3 + 5


def batches(rows: np.ndarray, at_once: int = 16) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(rows), at_once):
        part = rows[start : start + at_once]
        ids = range(start, start + len(part))
        yield pa.RecordBatch.from_pydict({"user_id": list(ids), "embedding": part.tolist()})


def learned(videos: np.ndarray = OF_VIDEOS, users: np.ndarray = OF_USERS, anyone: bool = True) -> Vectors:
    return Vectors("als", VIDEO_IDS, videos, users.mean(axis=0) if anyone else None, batches(users))


def night(day: date, scale: float = 1.0, broken: float | None = None) -> list[dict[str, Any]]:
    """Rows of table embeddings: two_tower knows users, videos and anyone, als videos alone, shuffled."""
    videos = [("video", int(VIDEO_IDS[i]), OF_VIDEOS[i] * scale) for i in range(VIDEOS)]
    users = [("user", i, OF_USERS[i]) for i in range(USERS)]
    everything = [("two_tower", *one) for one in [*videos, *users, ("anyone", 0, OF_USERS.mean(axis=0))]]
    everything += [("als", *one) for one in videos]
    rows = [
        {"source": source, "kind": kind, "entity_id": entity, "embedding": vector.tolist(), "model": f"{day}" * 4}
        for source, kind, entity, vector in everything
    ]
    if broken is not None:
        rows[0]["embedding"][0] = broken
    return [rows[i] for i in DRAW.permutation(len(rows))]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("REELFEED_HOME", raising=False)
    return with_home(load_settings("local"), tmp_path)


def export(settings: Settings, day: date) -> None:
    recipe = replace(RECIPE, sources={"als": 10, "two_tower": 10})
    run_jobs(all_jobs(), ["export_index"], Request(day, day, recipe, "simulated", ""), settings)


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("approximate_from", [VIDEOS + 1, 1], ids=["exact", "graph"])
def test_a_user_is_told_the_videos_of_largest_inner_product(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, approximate_from: int
) -> None:
    monkeypatch.setattr(nearest, "APPROXIMATE_FROM", approximate_from)
    told = write(tmp_path, "1", TOLD, [learned()])
    assert (told["night"], told["sources"]["als"]["users"], told["sources"]["als"]["videos"]) == (
        "2026-01-05",
        USERS,
        VIDEOS,
    )
    index = load(tmp_path, "als")
    for user, own in [*enumerate(OF_USERS), (USERS, OF_USERS.mean(axis=0))]:
        vector = index.vector(user)
        assert vector is not None
        found, products = index.nearest(vector, 10)
        assert found.tolist() == VIDEO_IDS[np.argsort(-(OF_VIDEOS @ own))[:10]].tolist()
        np.testing.assert_allclose(products, np.sort(OF_VIDEOS @ own)[:-11:-1], rtol=1e-5)
    assert len(index.nearest(OF_USERS[0], VIDEOS + 5)[0]) == VIDEOS


def test_a_source_that_knows_nobody_has_no_vector_for_a_stranger(tmp_path: Path) -> None:
    write(tmp_path, "1", TOLD, [learned(anyone=False)])
    assert load(tmp_path, "als").vector(USERS) is None
    with pytest.raises(MissingDataError, match=r"no index of source 'two_tower' is served(.|\n)*choices: als"):
        load(tmp_path, "two_tower")
    with pytest.raises(MissingDataError, match="export_index"):
        load(tmp_path / "empty", "als")


def test_killed_at_any_step_readers_have_the_old_index_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file call of the second version fails once; what a reader loads is the first until the last of them."""
    write(tmp_path, "1", TOLD, [learned()])
    steps, real = ("mkdir", "write_text", "open", "replace"), {}
    calls = [0]

    def dying(name: str, at: int) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            calls[0] += 1
            if calls[0] == at:
                raise KeyboardInterrupt
            return real[name](*given, **named)

        return call

    for name in steps:
        real[name] = getattr(Path, name)
    at, done = 0, False
    while not done:
        at, calls[0] = at + 1, 0
        with monkeypatch.context() as patch:
            for name in steps:
                patch.setattr(Path, name, dying(name, at))
            try:
                write(tmp_path, "2", TOLD, [learned(OF_VIDEOS * -1)])
                done = True
            except KeyboardInterrupt:
                pass
        sign = 1 if served(tmp_path) == "1" else -1
        best = VIDEO_IDS[np.argmax(sign * (OF_VIDEOS @ OF_USERS[0]))]
        assert load(tmp_path, "als").nearest(OF_USERS[0], 1)[0].tolist() == [best]
    assert (served(tmp_path), at > 8) == ("2", True)
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(STAGED)]


def test_vectors_that_are_broken_or_an_index_that_misses_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "1", TOLD, [learned()])
    with pytest.raises(ContractError, match="'als': a user's embedding is of 7 numbers, not 8"):
        write(tmp_path, "2", TOLD, [learned(users=OF_USERS[:, :7], anyone=False)])
    with pytest.raises(ContractError, match="several lengths, or not finite"):
        write(tmp_path, "2", TOLD, [learned(users=np.where(OF_USERS > 2, np.nan, OF_USERS))])
    right = nearest.index
    monkeypatch.setattr(nearest, "index", lambda matrix: right(matrix[::-1] * -1))
    with pytest.raises(ContractError, match=r"the index finds 0\.\d+ of the 100 best videos, less than 0.95"):
        write(tmp_path, "2", TOLD, [learned()])
    assert (served(tmp_path), load(tmp_path, "als").nearest(OF_USERS[0], 1)[0].tolist()) == (
        "1",
        [VIDEO_IDS[np.argmax(OF_VIDEOS @ OF_USERS[0])]],
    )


def test_a_night_s_embeddings_are_served_once_and_a_backfill_does_not_take_their_place(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    lake = Lake(settings.lake)
    put(lake, EMBEDDINGS, MONDAY, night(MONDAY))
    put(lake, EMBEDDINGS, TUESDAY, night(TUESDAY, scale=-1))
    export(settings, MONDAY)
    before = files(settings.index)
    export(settings, MONDAY)
    assert files(settings.index) == before
    tower, als = (load(settings.index, source) for source in ("two_tower", "als"))
    best = VIDEO_IDS[np.argsort(-(OF_VIDEOS @ OF_USERS[3]))[:5]].tolist()
    assert [index.nearest(OF_USERS[3], 5)[0].tolist() for index in (tower, als)] == [best, best]
    vectors = [index.vector(user) for index in (tower, als) for user in (3, USERS)]
    assert [vector is not None for vector in vectors] == [True, True, False, False]
    export(settings, TUESDAY)
    assert load(settings.index, "als").nearest(-OF_USERS[3], 5)[0].tolist() == best
    assert set(before) < set(files(settings.index)), "a server that is loading the version before can go on"
    with caplog.at_level(logging.WARNING, "reelfeed"):
        export(settings, MONDAY)
    assert "that of 2026-01-06 is served, which is later than 2026-01-05" in caplog.text
    assert served(settings.index) == f"{TUESDAY}-{str(TUESDAY) * 4}"[:23]
    (settings.index / "current").write_text(tower.version)
    assert load(settings.index, "als").nearest(OF_USERS[3], 5)[0].tolist() == best, "undone by hand"


def test_a_day_without_embeddings_leaves_the_index_and_a_broken_one_says_so(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    lake = Lake(settings.lake)
    put(lake, EMBEDDINGS, MONDAY, night(MONDAY))
    export(settings, MONDAY)
    version = served(settings.index)
    put(lake, EMBEDDINGS, TUESDAY, [])
    with caplog.at_level(logging.WARNING, "reelfeed"):
        export(settings, TUESDAY)
    assert "no source has embeddings of 2026-01-06, the index is left as it is" in caplog.text
    put(lake, EMBEDDINGS, WEDNESDAY, night(WEDNESDAY, broken=float("nan")))
    with pytest.raises(ContractError, match="two_tower"):
        export(settings, WEDNESDAY)
    assert served(settings.index) == version
