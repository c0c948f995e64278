"""`reelfeed off-policy`: what other policies would have earned in the slots that exploration filled.

Every policy here is fixed before the day it is valued on, by tables alone, so that no row's outcome chose its weight.
Popularity is a video's long views per showing over the HISTORY_DAYS days of arrival before, smoothed, which is also the
doubly robust estimate's model. A policy draws one video for a slot from the day's pool: the visible videos.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.errors import MissingDataError
from core.lake import Lake
from core.recipe import Recipe
from core.settings import Settings
from core.tables.feeds import TABLE as FEEDS
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.videos import TABLE as VIDEOS
from models.off_policy import LoggedRows, PolicyValue, policy_value, smoothed_rates

if TYPE_CHECKING:
    import pyarrow

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Columns = tuple[NDArray[Any], ...]
"""The columns of LoggedRows in their order, of a day that may have no row."""

HISTORY_DAYS = 7
STRENGTH = 20.0
"""Showings of the mean that a video's long-view rate is smoothed by."""
UNIFORM, PUBLISHED = "uniform, as logged", "the published feed"


def _in_proportion(rate: Floats) -> Floats:
    chance: Floats = rate / rate.sum() if rate.sum() else np.full(len(rate), 1 / len(rate))
    return chance


def _among_best(share: float) -> Callable[[Floats], Floats]:
    """Returns the policy that draws uniformly among the best `share` of the pool, at least one; ties by place."""

    def chances(rate: Floats) -> Floats:
        best = np.argsort(-rate, kind="stable")[: max(1, round(share * len(rate)))]
        chance = np.zeros(len(rate))
        chance[best] = 1 / len(best)
        return chance

    return chances


POLICIES: Mapping[str, Callable[[Floats], Floats]] = {
    "in proportion to popularity": _in_proportion,
    "the most popular tenth": _among_best(0.1),
    "the most popular hundredth": _among_best(0.01),
}
"""From the popularity of the day's pool, (videos,), to the probability of each."""


@dataclass(frozen=True)
class _Day:
    """A day's random slots, each (rows,), and its pool with the popularity of each video, (videos,), ids ascending."""

    user: Ints
    video: Ints
    propensity: Floats
    long_view: Floats
    pool: Ints
    popularity: Floats


def told(settings: Settings, recipe: Recipe, first: date, last: date) -> str:
    """Returns the values of `policy_values` as text."""
    values = policy_values(settings, recipe, first, last)
    uniform = values[UNIFORM]
    head = f"{uniform.rows:,} random slots of {uniform.units:,} users, {first} to {last}; long views per slot"
    absent = [] if PUBLISHED in values else ["no feed was published on the eve of these days: it is not valued"]
    return "\n".join([head, "", *table(values), *absent])


def policy_values(settings: Settings, recipe: Recipe, first: date, last: date) -> dict[str, PolicyValue]:
    """Returns long views per slot under each policy, of random slots shown and arrived from `first` to `last`.

    The published feed is that of `recipe`, drawn from uniformly, on the days whose eve has one and in the slots of
    users who had one; left out where there is none. Raises MissingDataError where there are no impressions before
    `first`, or no random slots with propensities.
    """
    lake = Lake(settings.lake)
    days = _days(lake, first, last)
    logs = {UNIFORM: [_logged(day, day.propensity, day.popularity.mean()) for day in days.values()]}
    for name, chances in POLICIES.items():
        logs[name] = [_drawn(day, chances(day.popularity)) for day in days.values()]
    eves = {on - timedelta(days=1): day for on, day in days.items()}
    logs[PUBLISHED] = [_of_feed(lake, recipe, eve, eves[eve]) for eve in lake.days(FEEDS) if eve in eves]
    joined = {name: [np.concatenate(column) for column in zip(*parts, strict=True)] for name, parts in logs.items()}
    there = {name: LoggedRows(*columns) for name, columns in joined.items() if columns and len(columns[0])}
    return {name: policy_value(log, settings.seed) for name, log in there.items()}


def table(values: Mapping[str, PolicyValue], digits: int = 3) -> list[str]:
    """Returns lines: each policy's value by every estimator, with 95 % intervals and what bears them out."""
    name_width, width = max(len(name) for name in values), 3 * digits + 11
    heads = "  ".join(f"{head:{width}}" for head in ("IPS", "SNIPS", "DR", "overlap"))
    lines = [f"{'':{name_width}}  {'rows':>7} {'effective':>9} {'most weight':>11}  {heads}"]
    for name, value in values.items():
        figures = [one.told(digits) if one else "-" for one in (value.ips, value.snips, value.dr, value.overlap)]
        counts = f"{value.rows:7,} {value.effective_rows:9,.0f} {value.largest_weight:11.1f}"
        lines.append(f"{name:{name_width}}  {counts}  {'  '.join(f'{one:{width}}' for one in figures)}".rstrip())
    return lines + [f"{name}: {note}" for name, value in values.items() for note in value.notes]


def _days(lake: Lake, first: date, last: date) -> dict[date, _Day]:
    arrived = lake.days(IMPRESSIONS)
    wanted = [day for day in arrived if first <= day <= last]
    history = [day for day in arrived if first - timedelta(days=HISTORY_DAYS) <= day < last]
    if not wanted or min(history, default=first) >= first:
        raise MissingDataError(
            f"no impressions from {first} to {last}, or none before to tell popularity by",
            where="table impressions",
            choices=[f"days published: {arrived[0]} to {arrived[-1]}" if arrived else "none"],
            next_step="give days that are there, the first of them not the first of all",
        )
    columns = ["user_id", "video_id", "shown_on", "propensity", "is_long_view", "is_random"]
    rows = lake.read_arrow(IMPRESSIONS, wanted, columns)
    random = rows.filter(pc.and_(rows["is_random"], pc.is_valid(rows["propensity"])))
    if random.num_rows == 0:
        raise MissingDataError(
            f"no random slot with a propensity from {first} to {last}: nothing can be said of another policy",
            where="table impressions, is_random and propensity",
            next_step="give logs that explore and record propensities (KuaiRand's standard logs do not)",
        )
    watched = lake.read_arrow(IMPRESSIONS, history, ["ds", "video_id", "is_long_view"])
    counts = watched.group_by(["ds", "video_id"]).aggregate([("is_long_view", "count"), ("is_long_view", "sum")])
    videos = lake.read_arrow(VIDEOS, wanted, ["ds", "video_id", "is_visible"])
    pools = videos.filter(videos["is_visible"])
    return {
        day: _day(
            random.filter(pc.equal(random["shown_on"], day)),
            np.sort(pools.filter(pc.equal(pools["ds"], day))["video_id"].to_numpy()),
            counts.filter(
                pc.and_(pc.less(counts["ds"], day), pc.greater_equal(counts["ds"], day - timedelta(days=HISTORY_DAYS)))
            ),
        )
        for day in wanted
    }


def _day(random: pyarrow.Table, pool: Ints, counts: pyarrow.Table) -> _Day:
    video, of_video = np.unique(counts["video_id"].to_numpy(), return_inverse=True)
    sums = (np.bincount(of_video, counts[f"is_long_view_{name}"].to_numpy(), len(video)) for name in ("count", "sum"))
    shown, came = (_looked_up(video, of_all, pool, 0.0) for of_all in sums)
    return _Day(
        random["user_id"].to_numpy(),
        random["video_id"].to_numpy(),
        random["propensity"].to_numpy(),
        random["is_long_view"].to_numpy().astype(np.float64),
        pool,
        smoothed_rates(shown, came, STRENGTH),
    )


def _drawn(day: _Day, chances: Floats) -> Columns:
    """Returns the day's log for the policy that draws each video of the pool by its one of `chances`."""
    return _logged(day, _looked_up(day.pool, chances, day.video, 0.0), float(chances @ day.popularity))


def _of_feed(lake: Lake, recipe: Recipe, eve: date, day: _Day) -> Columns:
    """Returns the day's log, of users who had a feed on the eve, for a uniform draw from it."""
    feeds = lake.read_arrow(FEEDS, [eve], ["recipe", "user_id", "video_id"])
    ours = feeds.filter(pc.equal(feeds["recipe"], recipe.name))
    user, video = (ours[name].to_numpy() for name in ("user_id", "video_id"))
    users, whose, slots = np.unique(user, return_inverse=True, return_counts=True)
    expected = np.bincount(whose, _popularity(day, video), len(users)) / slots
    length = _looked_up(users, slots, day.user, 0)
    ids = 1 + max(video.max(initial=0), day.video.max(initial=0))
    in_feed = np.isin(day.user * ids + day.video, user * ids + video)
    evaluation = np.divide(in_feed, length, out=np.zeros(len(length)), where=length > 0)
    log = _logged(day, evaluation, _looked_up(users, expected, day.user, 0.0))
    return tuple(column[length > 0] for column in log)


def _logged(day: _Day, evaluation: Floats, expected: Floats | float) -> Columns:
    """Returns the day's log for a policy of which `expected` is the popularity it would draw, in all slots or each."""
    every = np.broadcast_to(np.float64(expected), len(day.user))
    return day.user, day.long_view, day.propensity, evaluation, _popularity(day, day.video), every


def _popularity(day: _Day, video: Ints) -> Floats:
    """Returns the popularity of each of `video`; of one that has since left the pool, the pool's mean."""
    return _looked_up(day.pool, day.popularity, video, float(day.popularity.mean()))


def _looked_up(ids: Ints, values: NDArray[Any], wanted: Ints, otherwise: float) -> Floats:
    """Returns the one of `values` that belongs to each of `wanted` among the ascending `ids`, else `otherwise`."""
    place = np.where(np.isin(wanted, ids), np.searchsorted(ids, wanted), len(ids))
    found: Floats = np.append(values, otherwise)[place]
    return found
