"""What candidate sources say of pairs of user and video, each fitted anew on what had arrived by a day."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import click
import numpy as np
from numpy.typing import NDArray

from core.job import Job, JobContext
from core.lake import Lake
from core.run import Request
from core.settings import Settings
from core.tables.impressions import TABLE as IMPRESSIONS
from jobs import _sources

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SOURCES = {"als": "", "co_watched": "recent", "linear_autoencoder": "seen", "two_tower": ""}
"""Sources that learn from who met what; of those whose links are summed, the column of histories that they link."""


def source_scores(settings: Settings, request: Request, snapshot: Ints, user: Ints, video: Ints) -> dict[str, Floats]:
    """Returns by source the score (rows,) of each row's `user` and `video` by a model of its `snapshot`'s day.

    `snapshot` is in days since 1970. NaN where nothing had arrived by then, or the model knows of one of the two
    nothing.
    """
    from models.history import histories

    job = Job("inputs", __doc__ or "", "bench", _sources.TABLES, (), lambda _: None)
    asked = (request.recipe, request.logs, request.logs_dir, Lake(settings.lake))
    ctx = JobContext(job, (request.ds,), settings, *asked)
    scores = {name: np.full(len(snapshot), np.nan) for name in SOURCES}
    first = min(ctx.days_of(IMPRESSIONS))
    for number in np.unique(snapshot):
        day = date(1970, 1, 1) + timedelta(days=int(number))
        if day < first:
            continue
        rows = np.flatnonzero(snapshot == number)
        known = _sources.known_on(ctx, day)
        models, _ = _sources.fit_all(known, SOURCES)
        met = histories(known.impressions, known.impressions.select("user_id").distinct()).cache()
        for name, model in models.items():
            of = (model, user[rows], video[rows])
            scores[name][rows] = _linked(met, SOURCES[name], *of) if SOURCES[name] else _embedded(*of)
        ctx.spark.catalog.clearCache()
        click.echo(f"sources as of {day}: {', '.join(models)}")
    return scores


def _embedded(model: DataFrame, user: Ints, video: Ints) -> Floats:
    """Returns inner products of vectors; a user without one has that of anyone, where there is one."""
    from models.model_rows import vectors

    (users, of_users), (videos, of_videos) = vectors(model, "user"), vectors(model, "video")
    _, anyone = vectors(model, "anyone")
    place, there = _places(users, user)
    mine = of_users[place]
    mine[~there] = anyone[0] if len(anyone) else np.nan
    place, there = _places(videos, video)
    scores: Floats = np.where(there, (mine * of_videos[place]).sum(axis=1), np.nan).astype(np.float64)
    return scores


def _linked(met: DataFrame, column: str, model: DataFrame, user: Ints, video: Ints) -> Floats:
    """Returns the sums of the links from what each user met, the `column` of `met`, to the video."""
    from scipy.sparse import csr_array

    from models.model_rows import link_matrix

    things, targets, similar = link_matrix(model, "similar")
    rows = met.select("user_id", column).orderBy("user_id").toArrow()
    users, listed = rows["user_id"].to_numpy(), rows[column].combine_chunks()
    owner = np.repeat(np.arange(len(users)), np.asarray(listed.value_lengths()))
    thing, linked = _places(things, np.asarray(listed.flatten()))
    history = csr_array((np.ones(linked.sum()), (owner[linked], thing[linked])), shape=(len(users), len(things)))
    (mine, is_user), (theirs, is_target) = _places(users, user), _places(targets, video)
    there = is_user & is_target
    links = similar.T.tocsr()[theirs[there]]
    scores = np.full(len(user), np.nan)
    scores[there] = history[mine[there]].multiply(links).sum(axis=1)
    return scores


def _places(ids: Ints, asked: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """Returns where each of `asked` is among the sorted `ids`, and whether it is."""
    place = np.searchsorted(ids, asked).clip(max=max(len(ids) - 1, 0))
    return place, ids[place] == asked if len(ids) else np.zeros(len(asked), np.bool_)
