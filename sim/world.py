"""The hidden world: users with tastes, authors and videos with qualities, some of each arriving every day.

Everything is derived from the configuration alone. Those born on a day form a cohort, made by a generator seeded with
(seed, kind, day), so that the catalogue of any day is a concatenation of cohorts and no day depends on another's run.
Tastes live in a space of TASTE_DIMENSIONS: users are standard normal there, tags, videos and authors unit vectors, so
that the affinity of a user and a video, their inner product, is standard normal over users.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

TASTE_DIMENSIONS = 8
TAG_WEIGHTS = (1.0, 0.5, 0.25)
"""Pull of a video's first, second and third tag on what the video is about."""
VIDEO_OWN_SHARE = 0.5
"""How far a video strays from its tags, as the length of a random vector beside theirs."""
DAILY_WITHDRAWAL = 0.01
"""Probability that a live video leaves the pool on a day."""
SHORTEST_MS, MEDIAN_MS, LONGEST_MS = 5_000, 20_000, 180_000
UNKNOWN_DURATION_SHARE = 0.015
ADVERT_SHARE = 0.01
MUSIC_SHARE, MUSIC_COUNT = 0.7, 400
UPLOAD_TYPES = ("long_import", "short_import", "short_camera", "web", "kmovie")
UPLOAD_TYPE_SHARES = (0.3, 0.35, 0.2, 0.1, 0.05)


@dataclass(frozen=True)
class WorldConfig:
    """Everything that a world is made from: two worlds of equal configuration are equal in every row.

    `users` and `videos` are there on `first_day`; each day brings `new_users_share` and `new_videos_share` of these
    numbers more. `impressions_per_user_day` is the mean over all registered users, idle ones included. Of the slots,
    `exploration_share` show a video drawn uniformly; of the logged rows, `late_share` arrive one to three days late,
    `duplicate_share` are written twice and `broken_share` are damaged. Raises UsageError for a value out of range.
    """

    seed: int = 20260101
    first_day: date = date(2026, 1, 1)
    users: int = 3_000
    videos: int = 6_000
    authors: int = 600
    tags: int = 50
    impressions_per_user_day: float = 23.5
    new_users_share: float = 0.005
    new_videos_share: float = 0.02
    exploration_share: float = 0.02
    late_share: float = 0.01
    duplicate_share: float = 0.005
    broken_share: float = 0.0002

    def __post_init__(self) -> None:
        at_least = {"seed": 0, "users": 1, "videos": 1, "authors": 1, "tags": 3, "impressions_per_user_day": 1}
        faults = [f"{name} must be at least {least}" for name, least in at_least.items() if getattr(self, name) < least]
        shares = [field.name for field in fields(self) if field.name.endswith("_share")]
        faults += [f"{name} must be within [0, 1]" for name in shares if not 0 <= getattr(self, name) <= 1]
        if faults:
            raise UsageError("; ".join(faults), where="the configuration of the simulated world")


@dataclass(frozen=True)
class Users:
    """Users in order of id, one entry each; hidden truth but for the id and the day of registration (an ordinal).

    `taste` has shape (users, TASTE_DIMENSIONS), `guess` is the error of what the logging policy believes of it.
    `activity` is the probability of opening the app on a day, `patience` the relative session length (mean 1),
    `generosity` what is added to the interest in any video, `expressiveness` a factor on likes, comments and so on.
    """

    user_id: Ints
    registered: Ints
    taste: Floats
    guess: Floats
    activity: Floats
    patience: Floats
    generosity: Floats
    expressiveness: Floats
    unclassified: Bools


@dataclass(frozen=True)
class Authors:
    """Authors in order of id: `quality` (standard normal), upload shares (sum 1), tag shares (rows sum to 1), direction."""

    quality: Floats
    upload_share: Floats
    tag_share: Floats
    direction: Floats


@dataclass(frozen=True)
class Videos:
    """Videos in order of id, live from `uploaded` up to but not on `withdrawn` (day ordinals).

    `tags` has shape (videos, 3), first tag first, -1 where there are fewer. `quality` and `luck` are standard normal;
    luck is what the logging policy mistakes for quality. `duration_known` is false where logs lack the duration.
    """

    video_id: Ints
    author_id: Ints
    tags: Ints
    direction: Floats
    quality: Floats
    luck: Floats
    duration_ms: Ints
    duration_known: Bools
    uploaded: Ints
    withdrawn: Ints
    upload_type: Ints
    music_id: Ints
    is_advert: Bools


Catalogue = TypeVar("Catalogue", Users, Videos)


def generator(config: WorldConfig, stream: str, day: date | None = None) -> np.random.Generator:
    """Returns the generator of one `stream` of randomness, of the whole world or of one day of it."""
    return np.random.default_rng([config.seed, zlib.crc32(stream.encode()), day.toordinal() if day else 0])


def days_to(config: WorldConfig, day: date) -> list[date]:
    """Returns the days from the world's first to `day`; raises UsageError for a day before the first."""
    if day < config.first_day:
        raise UsageError(
            f"the simulated world begins on {config.first_day}: there is no {day}",
            next_step=f"ask from {config.first_day} on",
        )
    return [config.first_day + timedelta(days=n) for n in range((day - config.first_day).days + 1)]


@lru_cache(maxsize=8)
def users_on(config: WorldConfig, day: date) -> Users:
    """Returns every user registered by the end of `day`; raises UsageError for a day before the first."""
    return _joined(Users, [_user_cohort(config, born) for born in days_to(config, day)])


@lru_cache(maxsize=8)
def videos_on(config: WorldConfig, day: date) -> Videos:
    """Returns every video uploaded by the end of `day`, withdrawn ones too; raises UsageError as `users_on` does."""
    return _joined(Videos, [_video_cohort(config, born) for born in days_to(config, day)])


def live_on(config: WorldConfig, day: date) -> Ints:
    """Returns the ids of the videos that may be shown on `day`: the pool that exploration draws from."""
    videos = videos_on(config, day)
    return videos.video_id[videos.withdrawn > day.toordinal()]


@lru_cache(maxsize=8)
def tag_directions(config: WorldConfig) -> Floats:
    """Returns the unit vector of every tag, shape (tags, TASTE_DIMENSIONS)."""
    return unit(generator(config, "tags").standard_normal((config.tags, TASTE_DIMENSIONS)))


def tag_tastes(config: WorldConfig, day: date) -> Floats:
    """Returns every user's taste for every tag, shape (users, tags), standard normal over users."""
    return users_on(config, day).taste @ tag_directions(config).T


@lru_cache(maxsize=8)
def authors_of(config: WorldConfig) -> Authors:
    """Returns the authors, the same on all days; an author's videos mostly carry a few home tags."""
    rng = generator(config, "authors")
    tag_share = rng.dirichlet(np.full(config.tags, 0.06), size=config.authors) + 0.2 / config.tags
    tag_share /= tag_share.sum(axis=1, keepdims=True)
    upload_share = rng.lognormal(0.0, 0.8, config.authors)
    return Authors(
        quality=rng.standard_normal(config.authors),
        upload_share=upload_share / upload_share.sum(),
        tag_share=tag_share,
        direction=unit(tag_share @ tag_directions(config)),
    )


def unit(vectors: Floats) -> Floats:
    """Returns the rows of `vectors` scaled to length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def first_id(config: WorldConfig, born: date, initial: int, share: float) -> int:
    """Returns the lowest id of the cohort of day `born`, for a kind that starts with `initial` and grows by `share`."""
    return 0 if born == config.first_day else initial + round(initial * share) * ((born - config.first_day).days - 1)


def _cohort_ids(config: WorldConfig, born: date, initial: int, share: float) -> Ints:
    size = initial if born == config.first_day else round(initial * share)
    return first_id(config, born, initial, share) + np.arange(size)


@lru_cache(maxsize=None)
def _user_cohort(config: WorldConfig, born: date) -> Users:
    ids = _cohort_ids(config, born, config.users, config.new_users_share)
    rng, size = generator(config, "users", born), len(ids)
    age = rng.exponential(200.0, size).astype(np.int64) if born == config.first_day else np.zeros(size, np.int64)
    return Users(
        user_id=ids,
        registered=born.toordinal() - age,
        taste=rng.standard_normal((size, TASTE_DIMENSIONS)),
        guess=rng.standard_normal((size, TASTE_DIMENSIONS)),
        activity=rng.beta(2.0, 1.6, size),
        patience=rng.lognormal(-0.08, 0.4, size),
        generosity=rng.normal(0.0, 0.3, size),
        expressiveness=rng.lognormal(-0.125, 0.5, size),
        unclassified=rng.random(size) < 0.03,
    )


@lru_cache(maxsize=None)
def _video_cohort(config: WorldConfig, born: date) -> Videos:
    ids = _cohort_ids(config, born, config.videos, config.new_videos_share)
    rng, size, authors = generator(config, "videos", born), len(ids), authors_of(config)
    age = rng.exponential(40.0, size).astype(np.int64) if born == config.first_day else np.zeros(size, np.int64)
    author = rng.choice(config.authors, size, p=authors.upload_share)
    # The largest of log share + Gumbel noise are tags drawn without replacement by their share.
    ranked = np.argsort(-(np.log(authors.tag_share[author]) + rng.gumbel(size=(size, config.tags))), axis=1)[:, :3]
    tags = np.where(np.arange(3) < rng.choice([1, 2, 3], size, p=[0.4, 0.35, 0.25])[:, None], ranked, -1)
    weights = np.where(tags >= 0, TAG_WEIGHTS, 0.0)
    own = VIDEO_OWN_SHARE * unit(rng.standard_normal((size, TASTE_DIMENSIONS)))
    about = unit(np.einsum("vt,vtd->vd", weights, tag_directions(config)[tags])) + own
    duration = np.clip(rng.lognormal(np.log(MEDIAN_MS), 0.8, size), SHORTEST_MS, LONGEST_MS)
    return Videos(
        video_id=ids,
        author_id=author.astype(np.int64),
        tags=tags.astype(np.int64),
        direction=unit(about),
        quality=rng.standard_normal(size),
        luck=rng.standard_normal(size),
        duration_ms=duration.astype(np.int64),
        duration_known=rng.random(size) >= UNKNOWN_DURATION_SHARE,
        uploaded=born.toordinal() - age,
        withdrawn=born.toordinal() + rng.geometric(DAILY_WITHDRAWAL, size),
        upload_type=rng.choice(len(UPLOAD_TYPES), size, p=UPLOAD_TYPE_SHARES).astype(np.int64),
        music_id=np.where(rng.random(size) < MUSIC_SHARE, (MUSIC_COUNT * rng.random(size) ** 2).astype(np.int64), -1),
        is_advert=rng.random(size) < ADVERT_SHARE,
    )


def _joined(kind: Callable[..., Catalogue], cohorts: Sequence[Catalogue]) -> Catalogue:
    names = [field.name for field in fields(cohorts[0])]
    return kind(**{name: np.concatenate([getattr(cohort, name) for cohort in cohorts]) for name in names})
