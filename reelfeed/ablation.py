"""`reelfeed ablation`: what groups of features, one by one and by kinds, and smoothing add to the order of lists."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import click

from core.lake import Lake
from core.run import Request, run_jobs
from core.settings import Settings, with_home
from core.tables.impressions import REACTIONS
from core.tables.impressions import TABLE as IMPRESSIONS
from features.catalog import feature_names, features
from reelfeed.documents import write_block
from reelfeed.inputs import inputs
from reelfeed.refits import long_views, mean_sums, parts, refit

if TYPE_CHECKING:
    import numpy as np
    from pyspark.sql import DataFrame

    from models.estimate import Estimate
    from models.examples import Examples
    from models.metrics import ListSums

FULL, UNSMOOTHED, PLACEBO = "all groups", "all groups, smoothing off", "placebo"
NO_SMOOTHING = 1e-6
"""Strength of a prior that shows only where there is nothing else, in impressions."""
METRICS = ("gauc", "ndcg@5")
OUTCOMES = ("watch_ms", *REACTIONS)
"""What came of an impression: all that labels and counters are made of."""
RUNGS = {
    "tabs": ("surface", "surface_reception"),
    "the video's counters": ("video_reception",),
    "counters of video, author, tag, length": (
        "video_reception",
        "author_reception",
        "tag_reception",
        "duration_reception",
    ),
    "users": ("user_activity", "user_profile"),
    "crosses of user and tag or author": ("user_tag_affinity", "user_author_affinity"),
    "users and crosses": ("user_activity", "user_profile", "user_tag_affinity", "user_author_affinity"),
}
"""Kinds of knowledge, and the groups that hold them."""


def ablation(settings: Settings, request: Request, seeds: int) -> str:
    """Fits long_view with and without each group on the training examples of `request.ds`, for docs/ablation.md.

    The figures are means over `seeds` fits of different seeds, on the frozen lists of the test days, with paired 95 %
    intervals from resampled users. Smoothing off is the same pipeline with every rate's prior at NO_SMOOTHING
    impressions, and the placebo the same with outcomes dealt out anew among the impressions of each day; both are made
    in scratch copies of the lake. Raises MissingDataError where there are no training examples.
    """
    from models.bootstrap import estimates
    from models.metrics import list_sums

    places = {name: place for place, name in enumerate(feature_names())}
    groups = dict.fromkeys(feature.group for feature in features())
    kept = {FULL: tuple(places)} | {
        f"without {group}": tuple(each.name for each in features() if each.group != group) for group in groups
    }
    train, test = parts(settings, request.ds)
    systems = {
        name: _mean_sums(settings, train, test, columns, seeds) for name, columns in _with_progress(kept.items())
    }
    for name, redrawn in ((UNSMOOTHED, False), (PLACEBO, True)):
        with _remade(settings, request, redrawn=redrawn) as scratch:
            systems[name] = _mean_sums(scratch, *parts(scratch, request.ds), tuple(places), seeds)
    labels = long_views(test)
    systems["popularity"] = list_sums(test.user, test.video, labels, test.popularity)
    systems["random"] = list_sums(test.user, test.video, labels, _generator(settings.seed).random(len(labels)))
    found = estimates(systems, [(FULL, other) for other in systems if other not in (FULL, PLACEBO)], settings.seed)
    return write_block("ablation.md", "ablation", _text(found, list(systems), test, seeds, settings.seed))


def ladder(settings: Settings, request: Request, seeds: int) -> str:
    """Fits long_view with and without each kind of RUNGS, as `ablation` does without each group, for docs/ablation.md.

    Raises MissingDataError where there are no training examples.
    """
    from models.bootstrap import estimates
    from models.metrics import list_sums

    kept = {FULL: feature_names()} | {
        f"without {kind}": tuple(each.name for each in features() if each.group not in groups)
        for kind, groups in RUNGS.items()
    }
    train, test = parts(settings, request.ds)
    systems = {
        name: _mean_sums(settings, train, test, columns, seeds) for name, columns in _with_progress(kept.items())
    }
    systems["popularity"] = list_sums(test.user, test.video, long_views(test), test.popularity)
    found = estimates(systems, [(FULL, other) for other in systems if other != FULL], settings.seed)
    return write_block("ablation.md", "ladder", _text(found, list(systems), test, seeds, settings.seed))


PARTS = {"groups": ablation, "ladder": ladder, "inputs": inputs}


def _with_progress(kept: object) -> Iterator[tuple[str, tuple[str, ...]]]:
    with click.progressbar(list(kept), label="fitting without each") as bar:  # type: ignore[call-overload]
        yield from bar


def _mean_sums(
    settings: Settings,
    train: Examples,
    test: Examples,
    columns: Sequence[str],
    seeds: int,
) -> ListSums:
    """Returns each user's list sums of a ranker on `columns`, averaged over fits."""
    import numpy as np

    from models.metrics import list_sums

    places = [feature_names().index(name) for name in columns]
    mine = replace(train, features=np.ascontiguousarray(train.features[:, places]))
    judged = np.ascontiguousarray(test.features[:, places])
    found = []
    for seed in range(seeds):
        scores = refit(settings, mine, columns, settings.seed + seed).predict(judged)[:, 0]
        found.append(list_sums(test.user, test.video, long_views(test), scores))
    return mean_sums(found)


@contextmanager
def _remade(settings: Settings, request: Request, *, redrawn: bool = False) -> Iterator[Settings]:
    """Yields a scratch copy of the installation in which features and training examples were made anew.

    Without smoothing; or, `redrawn`, with it, but every impression having the outcome of another one of its day.
    """
    from features import shrinkage
    from jobs._registry import all_jobs

    estimate = shrinkage.estimate

    def trusting(*of: object) -> Mapping[date, Mapping[str, shrinkage.Prior]]:
        return {
            day: {name: replace(prior, strength=NO_SMOOTHING) for name, prior in priors.items()}
            for day, priors in estimate(*of).items()  # type: ignore[arg-type]
        }

    source = settings.lake
    with tempfile.TemporaryDirectory() as home, mock.patch.dict("os.environ", {"REELFEED_HOME": home}):
        shutil.copytree(source, Path(home) / "lake")
        scratch = replace(with_home(settings, Path(home)), lake_uri=str(Path(home) / "lake"))
        if redrawn:
            _redraw(scratch, request)
        with mock.patch.object(shrinkage, "estimate", estimate if redrawn else trusting):
            run_jobs(all_jobs(), ("build_features", "fit_machine", "build_training_set"), request, scratch)
        yield scratch


def _redraw(settings: Settings, request: Request) -> None:
    """Gives every impression the outcome (watch time and all signals) of one drawn from its day, each used once."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    from core.spark import session

    lake, days = Lake(settings.lake), list(request.days)
    rows = lake.read(session(settings, "redraw"), IMPRESSIONS, days)

    def numbered(salt: str) -> DataFrame:
        order = Window.partitionBy("ds").orderBy(F.xxhash64(F.lit(f"{salt} {settings.seed}"), *IMPRESSIONS.key))
        return rows.withColumn("place", F.row_number().over(order))

    others = numbered("outcome").select("ds", "place", *OUTCOMES)
    drawn = numbered("row").drop(*OUTCOMES).join(others, on=["ds", "place"], how="inner")
    lake.publish(
        drawn.select(*IMPRESSIONS.column_names),
        IMPRESSIONS,
        days,
        validate=lambda _, __, seen: seen,
        job="ablation",
        seconds=lambda: 0.0,
        reads={},
    )


def _generator(seed: int) -> np.random.Generator:
    import numpy as np

    return np.random.default_rng(seed)


def _text(
    found: Mapping[tuple[str, str], Estimate], systems: Sequence[str], test: Examples, seeds: int, seed: int
) -> str:
    import numpy as np

    lines = [
        f"{len(test.user):,} impressions of {len(np.unique(test.user)):,} users on the test days; means over {seeds} "
        f"fits (seeds {seed} to {seed + seeds - 1}). Lost: all groups less the row's system; above 0, what was left "
        "out helped.",
        "",
        "| | GAUC | nDCG@5 | GAUC lost | nDCG@5 lost |",
        "|---|---|---|---|---|",
    ]
    for system in systems:
        own = [found[system, metric].told() for metric in METRICS]
        lost = [found.get((f"{FULL}_minus_{system}", metric)) for metric in METRICS]
        cells = [each.told(sign="+") if each else "" for each in lost]
        lines.append(f"| {system} | {' | '.join([*own, *cells])} |")
    return "\n".join(lines)
