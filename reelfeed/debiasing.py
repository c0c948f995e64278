"""`reelfeed debiasing`: what each way of debiasing gives on random slots, where the world tells the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from core.settings import ROOT, Settings
from features.catalog import feature_names
from models.heads import HEADS, Head
from reelfeed.random_traffic import Traffic, installation, traffic
from reelfeed.refits import refit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models.boosting import Boost
    from models.estimate import Estimate

DOCUMENT = ROOT / "docs" / "debiasing.md"
BEGIN, END = "<!-- debiasing: begin -->", "<!-- debiasing: end -->"
PLACE = "session__position"
MOST_WEIGHT = 10.0
"""Of a row by exposure, either way."""
LONG_VIEW, SECONDS = (next(head for head in HEADS if head.name == name) for name in ("long_view", "watch_seconds"))
DEBIASED = Head("watch_debiased", "Watch time among videos of like length.", "watch_debiased", 1, 1.0)


@dataclass(frozen=True)
class Way:
    """One way to learn: `scores` returns an order (rows,) of the judged rows, learnt from the first with a seed.

    The first way of a `question` is what is served, the others are compared with it. `truth` is the column of Traffic
    that judges.
    """

    question: str
    name: str
    truth: str
    scores: Callable[[Settings, Traffic, Traffic, int], NDArray[np.float64]]


def debiasing(settings: Settings, seeds: int) -> str:
    """Makes the world, fits every way `seeds` times, writes docs/debiasing.md and returns what it wrote.

    Figures are of random slots on the test days, of users' own pairs, means over fits, with 95 % intervals from
    resampled users, paired with the served way.
    """
    with installation(settings) as (scratch, config):
        learnt, judged = traffic(scratch, config)
    text = _text(_judged(settings, learnt, judged, seeds), learnt, judged, seeds, settings.seed)
    before, _, rest = DOCUMENT.read_text("utf-8").partition(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", "utf-8")
    return text


def exposure_weights(video: NDArray[np.int64], most: float = MOST_WEIGHT) -> NDArray[np.float64]:
    """Returns of each showing of a `video` (rows,) how much rarer the video was shown than the mean one, (rows,).

    The inverse of the video's share of all showings, set against equal shares (a propensity that knows no user),
    within 1 / `most` to `most`, and scaled to a mean of 1.
    """
    import numpy as np

    _, which, shown = np.unique(video, return_inverse=True, return_counts=True)
    weight = np.clip(shown.mean() / shown, 1 / most, most)[which]
    scaled: NDArray[np.float64] = weight / weight.mean()
    return scaled


def _served(settings: Settings, learnt: Traffic, judged: Traffic, seed: int) -> NDArray[np.float64]:
    return _long_views(settings, learnt, judged, seed)


def _without_place(settings: Settings, learnt: Traffic, judged: Traffic, seed: int) -> NDArray[np.float64]:
    return _long_views(settings, learnt, judged, seed, tuple(name for name in feature_names() if name != PLACE))


def _examined(settings: Settings, learnt: Traffic, judged: Traffic, seed: int) -> NDArray[np.float64]:
    import numpy as np

    from models.examination import examination
    from models.examined import growing

    drawn = learnt.where(learnt.is_random).rows
    place = drawn.features[:, feature_names().index(PLACE)].astype(np.int64)
    found = examination(drawn.user, place, drawn.label("long_view") > 0, settings.seed)
    return _long_views(settings, learnt, judged, seed, boost=growing(found, PLACE))


def _random_alone(settings: Settings, learnt: Traffic, judged: Traffic, seed: int) -> NDArray[np.float64]:
    return _long_views(settings, learnt.where(learnt.is_random), judged, seed)


def _policy_alone(settings: Settings, learnt: Traffic, judged: Traffic, seed: int) -> NDArray[np.float64]:
    return _long_views(settings, learnt.where(~learnt.is_random), judged, seed)


def _weighed(settings: Settings, learnt: Traffic, judged: Traffic, seed: int) -> NDArray[np.float64]:
    import numpy as np

    weight = (learnt.rows.weight * exposure_weights(learnt.rows.video)).astype(np.float32)
    return _long_views(settings, replace(learnt, rows=replace(learnt.rows, weight=weight)), judged, seed)


def _long_views(
    settings: Settings,
    learnt: Traffic,
    judged: Traffic,
    seed: int,
    columns: Sequence[str] = (),
    boost: Boost | None = None,
) -> NDArray[np.float64]:
    return _fitted(settings, learnt, judged, seed, LONG_VIEW, columns, boost)


def _seconds(settings: Settings, learnt: Traffic, judged: Traffic, seed: int) -> NDArray[np.float64]:
    return _fitted(settings, learnt, judged, seed, SECONDS)


def _percentile(settings: Settings, learnt: Traffic, judged: Traffic, seed: int) -> NDArray[np.float64]:
    return _fitted(settings, learnt, judged, seed, DEBIASED)


def _mapped_back(settings: Settings, learnt: Traffic, judged: Traffic, seed: int) -> NDArray[np.float64]:
    import numpy as np

    from models.watch_quantile import duration_buckets, seconds_at

    known = duration_buckets(learnt.duration_ms), learnt.rows.label("watch_seconds").astype(np.float64)
    return seconds_at(duration_buckets(judged.duration_ms), _percentile(settings, learnt, judged, seed), known)


def _fitted(
    settings: Settings,
    learnt: Traffic,
    judged: Traffic,
    seed: int,
    head: Head,
    columns: Sequence[str] = (),
    boost: Boost | None = None,
) -> NDArray[np.float64]:
    import numpy as np

    names = feature_names()
    columns = columns or names
    places = [names.index(name) for name in columns]
    mine = replace(learnt.rows, features=np.ascontiguousarray(learnt.rows.features[:, places]))
    ranker = refit(settings, mine, columns, seed, head, boost)
    scores: NDArray[np.float64] = ranker.predict(np.ascontiguousarray(judged.rows.features[:, places]))[:, 0]
    return scores


POSITION, EXPOSURE, DURATION = "position", "exposure", "duration"
WAYS = (
    Way(POSITION, "the place as a feature, neutral at scoring: served", "long_view", _served),
    Way(POSITION, "no word of the place", "long_view", _without_place),
    Way(POSITION, "examination learnt from random slots, inside the loss", "long_view", _examined),
    Way(EXPOSURE, "all slots as they were logged: served", "long_view", _served),
    Way(EXPOSURE, "weights against exposure", "long_view", _weighed),
    Way(EXPOSURE, "the policy's slots alone", "long_view", _policy_alone),
    Way(EXPOSURE, "the random slots alone", "long_view", _random_alone),
    Way(DURATION, "seconds watched: served", "interest", _seconds),
    Way(DURATION, "percentile among videos of like length", "interest", _percentile),
    Way(DURATION, "the percentile mapped back to seconds", "interest", _mapped_back),
)


def _judged(
    settings: Settings, learnt: Traffic, judged: Traffic, seeds: int
) -> dict[tuple[str, str], tuple[Estimate, Estimate | None]]:
    """Returns by question and way the share of pairs put right, and its difference to the served way."""
    import numpy as np

    from models.pair_order import pair_sums

    found: dict[tuple[str, str], NDArray[np.float64]] = {}
    user = judged.rows.user
    for way in _with_progress(WAYS):
        fits = [
            pair_sums(user, getattr(judged, way.truth), way.scores(settings, learnt, judged, settings.seed + seed))
            for seed in range(seeds)
        ]
        found[way.question, way.name] = np.mean(fits, axis=0)
    return _estimates(found, settings.seed)


def _estimates(
    found: Mapping[tuple[str, str], NDArray[np.float64]], seed: int
) -> dict[tuple[str, str], tuple[Estimate, Estimate | None]]:
    import numpy as np

    from models.bootstrap import interval, resampled_sums
    from models.estimate import Estimate

    columns = np.column_stack(list(found.values()))
    sums = np.concatenate([columns.sum(axis=0, keepdims=True), resampled_sums(columns, seed)])
    shares = {key: sums[:, 2 * i] / sums[:, 2 * i + 1] for i, key in enumerate(found)}
    estimates: dict[tuple[str, str], tuple[Estimate, Estimate | None]] = {}
    for question, name in found:
        served = next(key for key in found if key[0] == question)
        share = shares[question, name]
        gain = share - shares[served]
        told = None if name == served[1] else Estimate(float(gain[0]), *interval(gain[1:]))
        estimates[question, name] = Estimate(float(share[0]), *interval(share[1:])), told
    return estimates


def _with_progress(ways: Sequence[Way]) -> Iterator[Way]:
    with click.progressbar(ways, label="fitting each way") as bar:
        yield from bar


def _text(
    found: Mapping[tuple[str, str], tuple[Estimate, Estimate | None]],
    learnt: Traffic,
    judged: Traffic,
    seeds: int,
    seed: int,
) -> str:
    import numpy as np

    lines = [
        f"Learnt from {len(learnt.position):,} impressions, {int(learnt.is_random.sum()):,} of them in random slots; "
        f"judged on {len(judged.position):,} random slots of {len(np.unique(judged.rows.user)):,} users on the test "
        f"days; means over {seeds} fits (seeds {seed} to {seed + seeds - 1}).",
        "",
        "| question | way | pairs put right | less what is served |",
        "|---|---|---|---|",
    ]
    for (question, name), (share, gain) in found.items():
        less = f"{gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]" if gain else ""
        lines.append(f"| {question} | {name} | {share.value:.4f} [{share.low:.4f}, {share.high:.4f}] | {less} |")
    return "\n".join(lines)
