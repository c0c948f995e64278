"""How our ranker, simple rules and other people's recommenders order the same logged impressions by long views.

All are fitted on what was shown before the test days: the ranker on the train and validate parts of the training
examples, the peers on all impressions of those days. A list is all that a user was shown on the test days, and it is
scored at one moment: the features of our rows are of one snapshot, and nothing of the test days is known to anyone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.errors import ContractError
from core.lake import Lake
from core.run import Request, run_jobs
from core.settings import Settings
from core.tables.impressions import TABLE as IMPRESSIONS
from features.catalog import all_groups, feature_names, features
from features.groups.machine import GROUP as MACHINE
from jobs._registry import all_jobs
from jobs.build_training_set import split_days
from reelfeed.peer_runs import peer_tables
from reelfeed.refits import long_views, mean_sums, parts, refit

if TYPE_CHECKING:
    import numpy as np
    import pyarrow

    from models.examples import Examples
    from models.metrics import ListSums

SURFACE = "surface"
KEY = ("user_id", "shown_at", "video_id")
PEER_COLUMNS = ("user_id", "video_id", "author_id", "tag_id", "surface", "shown_hour", "shown_on")


def bench_ranking(settings: Settings, request: Request, seeds: Sequence[int]) -> str:
    """Returns the tables as Markdown; the home of `settings` holds the history of the request's days.

    Raises ReelfeedError where a peer fails, ContractError where the rows of the peers aren't those of the examples.
    """
    from models.evaluation import check_frozen
    from reelfeed.ranking_tables import tables

    run_jobs(all_jobs(), ("build_training_set",), request, settings)
    train, test = parts(settings, request.ds)
    check_frozen(test)
    systems = _ours(settings, request.recipe.surface, train, test, seeds) | _fixed(test, seeds[0])
    systems |= peers(settings, request.ds, test, seeds)
    return tables(systems, len(test.user), seeds)


def peers(settings: Settings, ds: date, test: Examples, seeds: Sequence[int]) -> dict[str, ListSums]:
    """Returns the sums of every peer, averaged over `seeds`, on the rows of part test of the training set of `ds`.

    Raises as `bench_ranking` does.
    """
    folder = settings.home_path / "ranking_peers"
    _write_rows(settings, ds, test, folder / "rows")
    scores: dict[str, list[np.ndarray]] = {}
    for name, table in peer_tables("ranking", folder / "rows", folder / "out", seeds):
        scores.setdefault(name, []).append(table["score"].to_numpy())
    return {name: mean_sums([_sums(test, each) for each in found]) for name, found in scores.items()}


def _ours(
    settings: Settings, surface: int, train: Examples, test: Examples, seeds: Sequence[int]
) -> dict[str, ListSums]:
    """Returns the ranker's sums, with the surface of each row known and as on `surface`, and the placebo's."""
    import numpy as np

    from reelfeed.ranking_tables import ONE_SURFACE, OURS

    judged = {OURS: test.features, ONE_SURFACE: on_surface(test.features, surface)}
    redrawn = np.random.default_rng(seeds[0]).permutation(long_views(test))
    found: dict[str, list[ListSums]] = {name: [] for name in (*judged, "placebo")}
    for seed in seeds:
        ranker = refit(settings, train, feature_names(), seed)
        scores = {name: ranker.predict(rows)[:, 0] for name, rows in judged.items()}
        for name, of_rows in scores.items():
            found[name].append(_sums(test, of_rows))
        found["placebo"].append(_sums(test, scores[OURS], redrawn))
        click.echo(f"ranker-{seed}")
    return {name: mean_sums(of_seeds) for name, of_seeds in found.items()}


def _fixed(test: Examples, seed: int) -> dict[str, ListSums]:
    import numpy as np

    drawn = np.random.default_rng(seed).random(len(test.user))
    scores = {"popularity": test.popularity, "random": drawn, "oracle": long_views(test)}
    return {name: _sums(test, of_rows) for name, of_rows in scores.items()}


def _sums(test: Examples, scores: np.ndarray, labels: np.ndarray | None = None) -> ListSums:
    from models.metrics import list_sums

    return list_sums(test.user, test.video, long_views(test) if labels is None else labels, scores)


def on_surface(rows: np.ndarray, surface: int) -> np.ndarray:
    """Returns a copy of `rows`, float32 (rows, features) of one snapshot, as if all were shown on `surface`.

    The factorisation machine, which says one thing of user, video and surface, says nothing of them.
    Raises ContractError where none was, so that nothing tells what is known of the surface.
    """
    import numpy as np

    about = {name for name, group in all_groups().items() if group.entity == (SURFACE,)} | {SURFACE}
    places = [place for place, each in enumerate(features()) if each.group in about]
    shown = rows[:, feature_names().index(f"{SURFACE}__code")] == surface
    if not shown.any():
        raise ContractError(
            f"no impression of the test days was shown on surface {surface}",
            where="table training_examples, part test",
            next_step="set the surface of the recipe to one that the logs have",
        )
    moved = rows.copy()
    moved[:, places] = rows[shown.argmax(), places]
    moved[:, [place for place, each in enumerate(features()) if each.group == MACHINE.name]] = np.nan
    return moved


def _write_rows(settings: Settings, ds: date, test: Examples, folder: Path) -> None:
    """Writes the files that reelfeed/peers/shown.py reads; the asked rows are those of `test`, in its order."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    lake = Lake(settings.lake)
    days = [day for day in lake.days(IMPRESSIONS) if day <= ds]
    first = split_days(days, settings.split).test
    before = [day for day in days if day < first]
    learnt = lake.read_arrow(IMPRESSIONS, before, (*PEER_COLUMNS, "is_long_view"))
    later = lake.read_arrow(IMPRESSIONS, [day for day in days if day >= first], (*PEER_COLUMNS, "shown_at"))
    asked = later.filter(pc.field("shown_on") >= first).sort_by([(name, "ascending") for name in KEY])
    _check_same(asked, test)
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("learnt", learnt), ("asked", asked)):
        pq.write_table(rows, folder / f"{name}.parquet")


def _check_same(asked: pyarrow.Table, test: Examples) -> None:
    import numpy as np

    mine = (asked["user_id"].to_numpy(), asked["video_id"].to_numpy())
    if not all(np.array_equal(a, b) for a, b in zip(mine, (test.user, test.video), strict=True)):
        raise ContractError(
            f"the {asked.num_rows:,} impressions of the test days aren't the {len(test.user):,} rows of part test",
            where="tables impressions and training_examples",
            next_step="run build_training_set again",
        )
