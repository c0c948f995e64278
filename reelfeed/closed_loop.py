"""`reelfeed closed-loop`: what becomes of a world that is shown, day after day, what was learnt from it the day before.

Two installations begin with the same history, of the world's own policy. Then each publishes feeds every night, its
users are shown them the next day, and it learns from what they did: one with the recipe as it is, one without
exploration and without slots for new videos. Figures are the world's truth about the main surface, the feeds' own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from core.recipe import Recipe, load_recipe
from core.run import Request, run_jobs
from core.settings import Settings, with_home
from reelfeed.documents import write_block
from reelfeed.night import HISTORY_JOBS
from sim.world import WorldConfig

LEARNING = ("build_training_set", "train_ranker", "evaluate", "promote")
PUBLISHING = ("fit_sources", "propose_candidates", "score_candidates", "build_feed", "serve_world")
HISTORY_DAYS = 9
WORLD = WorldConfig(users=500, videos=1_000, authors=120, tags=20)
SOURCES = ("trending", "als", "co_watched", "following", "content_neighbours", "fresh")
"""Those served here: the others cost most of a night, and the question is not theirs."""
TOP_SHARE, NEW_DAYS, LEAST_SEEN = 0.01, 3, 10
OPEN, CLOSED = "as served", "without exploration"


@dataclass(frozen=True)
class DayFigures:
    """A day of the main surface, by the world's truth.

    `liking`: mean probability of a long view at the first place. `gini`: of showings over the live videos.
    `top_share`: showings that went to the most shown hundredth of live videos. `shown_share`: live videos shown at all.
    `new_share`: showings of videos at most NEW_DAYS old. `tags`: effective number of first tags (exponential of the
    entropy) that a user with LEAST_SEEN showings or more was shown, mean over these users.
    """

    liking: float
    gini: float
    top_share: float
    shown_share: float
    new_share: float
    tags: float


HEADS = ("long views, truth", "Gini", "top 1 % of videos", "videos shown", "new videos", "tags a user")


def without_exploration(recipe: Recipe) -> Recipe:
    """Returns `recipe` without slots to explore, and without the source and the slots of new videos."""
    sources = {name: quota for name, quota in recipe.sources.items() if name != "fresh"}
    rules = tuple(use for use in recipe.rules if use.rule != "new_videos")
    return replace(recipe, sources=sources, kept={}, rules=rules, exploration_slots=0)


def closed_loop(settings: Settings, days: int) -> str:
    """Lives `days` days in both installations, writes docs/closed_loop.md and returns what it wrote."""
    recipe = load_recipe("for_you")
    recipe = replace(recipe, sources={name: recipe.sources[name] for name in SOURCES})
    recipes = {OPEN: recipe, CLOSED: without_exploration(recipe)}
    with TemporaryDirectory() as folder:
        lived = {name: list(_lived(settings, each, days, Path(folder))) for name, each in recipes.items()}
    return write_block("closed_loop.md", "closed loop", _table(lived))


def _lived(settings: Settings, recipe: Recipe, days: int, folder: Path) -> Iterator[DayFigures]:
    """Yields the figures of the last day before the loop is closed, and of each of the `days` after."""
    from jobs._registry import all_jobs
    from sim.logs import write_days

    begun = folder / "begun"
    first, last = WORLD.first_day, WORLD.first_day + timedelta(days=HISTORY_DAYS)
    with mock.patch.dict("os.environ"):
        os.environ.pop("REELFEED_HOME", None)
        if not begun.exists():
            write_days(WORLD, str(begun / "logs"), [first + timedelta(days=i) for i in range(HISTORY_DAYS + 1)])
            request = Request(last, first, recipe, "simulated", str(begun / "logs"))
            run_jobs(all_jobs(), HISTORY_JOBS, request, _at(settings, begun / "home"))
        own = folder / recipe.hash
        shutil.copytree(begun, own)
        here, logs = _at(settings, own / "home"), str(own / "logs")
        yield figures(last, logs)
        for day in (last + timedelta(days=i) for i in range(days + 1)):
            if day > last:
                write_days(WORLD, logs, [day])
                yield figures(day, logs)
            request, history = Request(day, day, recipe, "simulated", logs), HISTORY_JOBS if day > last else ()
            # One after the other: no table tells that feeds are scored by who was promoted.
            run_jobs(all_jobs(), (*history, *LEARNING), request, here)
            run_jobs(all_jobs(), PUBLISHING, request, here)


def _at(settings: Settings, home: Path) -> Settings:
    return with_home(replace(settings, lake_uri="", mlflow_uri=""), home)


def figures(day: date, logs_dir: str) -> DayFigures:
    """Returns what was shown on `day` on the main surface of the world in `logs_dir`."""
    from models.feed_metrics import coverage, gini
    from sim.catalogue import live_on, videos_on
    from sim.day import impressions_on
    from sim.loop import given
    from sim.user import MAIN_SURFACE, expected_long_view

    slots = impressions_on(WORLD, day, given(logs_dir, day)).slots
    main = slots.surface == MAIN_SURFACE
    user, video = slots.user_id[main], slots.video_id[main]
    live, videos = live_on(WORLD, day), videos_on(WORLD, day)
    showings = np.bincount(video, minlength=len(videos.video_id))[live]
    most = np.sort(showings)[-max(1, round(TOP_SHARE * len(live))) :]
    return DayFigures(
        liking=float(expected_long_view(WORLD, day, user, video).mean()),
        gini=gini(showings),
        top_share=float(most.sum() / showings.sum()),
        shown_share=coverage(showings),
        new_share=float(np.mean(day.toordinal() - videos.uploaded[video] <= NEW_DAYS)),
        tags=effective_tags(user, videos.tags[video, 0]),
    )


def effective_tags(user: NDArray[np.int64], tag: NDArray[np.int64]) -> float:
    """Returns the mean over users of exp(entropy of the shares of tags they were shown): 1 where all are of one tag.

    Of showings (rows,); a tag below 0 is none. Users with fewer than LEAST_SEEN showings of a tag are left out, NaN
    where all are.
    """
    there = tag >= 0
    _, row = np.unique(user[there], return_inverse=True)
    seen = np.zeros((row.max(initial=-1) + 1, tag.max(initial=-1) + 1))
    np.add.at(seen, (row, tag[there]), 1.0)
    many = seen[seen.sum(axis=1) >= LEAST_SEEN]
    share = many / many.sum(axis=1, keepdims=True)
    return float(np.exp(-np.sum(xlogy(share, share), axis=1)).mean()) if len(many) else float("nan")


def _table(lived: Mapping[str, Sequence[DayFigures]]) -> str:
    """Returns the figures by day and recipe, as Markdown; day 0 is the last of the world's own policy."""
    lines = [
        f"A world of {WORLD.users} users and {WORLD.videos} videos (seed {WORLD.seed}); day 0 is the last on which its "
        f"own policy filled the slots. Sources: {', '.join(SOURCES)}.",
        "",
        f"| day | recipe | {' | '.join(HEADS)} |",
        f"|---|---|{'---|' * len(HEADS)}",
    ]
    for day, of_day in enumerate(zip(*lived.values(), strict=True)):
        for name, each in zip(lived, of_day, strict=True):
            lines.append(f"| {day} | {name} | {' | '.join(f'{value:.3f}' for value in astuple(each))} |")
    return "\n".join(lines)
