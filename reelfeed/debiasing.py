"""`reelfeed debiasing`: what each way of debiasing gives on random slots, where the world tells the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from core.settings import Settings
from features.catalog import feature_names
from models.heads import HEADS, Head
from reelfeed.documents import write_block
from reelfeed.random_traffic import Traffic, installation, traffic
from reelfeed.refits import refit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PLACE = "session__position"
MOST_WEIGHT = 10.0
"""Of a row by exposure, either way."""
LONG_VIEW, SECONDS, PERCENTILE = (
    next(head for head in HEADS if head.name == name) for name in ("long_view", "watch_seconds", "watch_debiased")
)


def exposure_weights(video: NDArray[np.int64], most: float = MOST_WEIGHT) -> Floats:
    """Returns of each showing of a `video` (rows,) how much rarer the video was shown than the mean one, (rows,).

    The inverse of the video's share of all showings, set against equal shares (a propensity that knows no user),
    within 1 / `most` to `most`, and scaled to a mean of 1.
    """
    import numpy as np

    _, which, shown = np.unique(video, return_inverse=True, return_counts=True)
    weight = np.clip(shown.mean() / shown, 1 / most, most)[which]
    scaled: Floats = weight / weight.mean()
    return scaled


def _every(learnt: Traffic) -> Traffic:
    return learnt


def _random(learnt: Traffic) -> Traffic:
    return learnt.where(learnt.is_random)


def _policy(learnt: Traffic) -> Traffic:
    return learnt.where(~learnt.is_random)


def _weighed(learnt: Traffic) -> Traffic:
    import numpy as np

    weight = (learnt.rows.weight * exposure_weights(learnt.rows.video)).astype(np.float32)
    return replace(learnt, rows=replace(learnt.rows, weight=weight))


def _alike(learnt: Traffic) -> Traffic:
    return replace(learnt, rows=replace(learnt.rows, examined=None))


@dataclass(frozen=True)
class Lesson:
    """What is learnt: `head`, from `rows` of those to fit on, by all features but `without`."""

    head: Head = LONG_VIEW
    rows: Callable[[Traffic], Traffic] = _every
    without: str = ""


def _as_predicted(predicted: Floats, learnt: Traffic, judged: Traffic) -> Floats:
    return predicted


def _in_seconds(predicted: Floats, learnt: Traffic, judged: Traffic) -> Floats:
    import numpy as np

    from features.duration_buckets import duration_buckets
    from models.watch_quantile import seconds_at

    known = duration_buckets(learnt.duration_seconds), learnt.rows.label("watch_seconds").astype(np.float64)
    return seconds_at(duration_buckets(judged.duration_seconds), predicted, known)


@dataclass(frozen=True)
class Way:
    """One way to order: by what `lesson` predicts, after `then` of it, judged by the column `truth` of Traffic."""

    name: str
    truth: str
    lesson: Lesson
    then: Callable[[Floats, Traffic, Traffic], Floats] = _as_predicted


WAYS: Mapping[str, tuple[Way, ...]] = {
    "position": (
        Way("boosting begins at examination, the place is a feature: served", "long_view", Lesson()),
        Way("the place as a feature alone", "long_view", Lesson(rows=_alike)),
        Way("no word of the place", "long_view", Lesson(rows=_alike, without=PLACE)),
        Way("boosting begins at examination, the place is no feature", "long_view", Lesson(without=PLACE)),
    ),
    "position, by time watched": (
        Way("boosting begins at examination, the place is a feature: served", "interest", Lesson(PERCENTILE)),
        Way("the place as a feature alone", "interest", Lesson(PERCENTILE, rows=_alike)),
    ),
    "exposure": (
        Way("all slots as they were logged: served", "long_view", Lesson()),
        Way("weights against exposure", "long_view", Lesson(rows=_weighed)),
        Way("the policy's slots alone", "long_view", Lesson(rows=_policy)),
        Way("the random slots alone", "long_view", Lesson(rows=_random)),
    ),
    "duration": (
        Way("percentile among videos of like length: served", "interest", Lesson(PERCENTILE)),
        Way("seconds watched", "interest", Lesson(SECONDS)),
        Way("the percentile mapped back to seconds", "interest", Lesson(PERCENTILE), _in_seconds),
    ),
}
"""By question. The first way is what is served; the others are compared with it."""


def debiasing(settings: Settings, seeds: int) -> str:
    """Makes the world, fits every lesson `seeds` times, writes docs/debiasing.md and returns what it wrote.

    Figures are of random slots on the test days, of users' own pairs, means over fits, with 95 % intervals from
    resampled users, paired with the served way.
    """
    with installation(settings) as (scratch, config):
        learnt, judged = traffic(scratch, config)
    return write_block("debiasing.md", "debiasing", compared(settings, learnt, judged, seeds))


def compared(settings: Settings, learnt: Traffic, judged: Traffic, seeds: int) -> str:
    """Returns how each of WAYS, learnt from the first rows, orders the others, as Markdown."""
    import numpy as np

    from models.bootstrap import all_sums, estimate
    from models.metrics import ratio
    from models.pair_order import pair_sums

    lessons = list(dict.fromkeys(way.lesson for ways in WAYS.values() for way in ways))
    with click.progressbar(lessons, label="fitting each way") as bar:
        predicted = {lesson: _predicted(settings, lesson, learnt, judged, seeds) for lesson in bar}

    def shares(way: Way) -> Floats:
        truth = getattr(judged, way.truth)
        orders = [way.then(scores, learnt, judged) for scores in predicted[way.lesson]]
        sums = all_sums(np.mean([pair_sums(judged.rows.user, truth, order) for order in orders], axis=0), settings.seed)
        return ratio(sums[:, 0], sums[:, 1])

    lines = [
        f"Learnt from {len(learnt.rows.user):,} impressions, {int(learnt.is_random.sum()):,} of them in random slots; "
        f"judged on {len(judged.rows.user):,} random slots of {len(np.unique(judged.rows.user)):,} users on the test "
        f"days; means over {seeds} fits (seeds {settings.seed} to {settings.seed + seeds - 1}).",
        "",
        "| question | way | pairs put right | less what is served |",
        "|---|---|---|---|",
    ]
    for question, (served, *others) in WAYS.items():
        of_served = shares(served)
        lines.append(f"| {question} | {served.name} | {estimate(of_served).told()} |  |")
        for way in others:
            share = shares(way)
            gain = estimate(share - of_served).told(sign="+")
            lines.append(f"| {question} | {way.name} | {estimate(share).told()} | {gain} |")
    return "\n".join(lines)


def _predicted(settings: Settings, lesson: Lesson, learnt: Traffic, judged: Traffic, seeds: int) -> list[Floats]:
    """Returns what each of `seeds` fits of `lesson` predicts of the judged rows, (rows,) each."""
    import numpy as np

    places = [place for place, name in enumerate(feature_names()) if name != lesson.without]
    columns = [feature_names()[place] for place in places]
    rows = lesson.rows(learnt).rows
    rows = replace(rows, features=np.ascontiguousarray(rows.features[:, places]))
    features = np.ascontiguousarray(judged.rows.features[:, places])
    rankers = [refit(settings, rows, columns, settings.seed + seed, lesson.head) for seed in range(seeds)]
    return [ranker.predict(features)[:, 0] for ranker in rankers]
