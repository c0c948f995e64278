"""Who and what there is in the hidden world: users with tastes, authors and videos with qualities, more every day.

Those who come on a day form a cohort, made by a generator of its own, so that the catalogue of any day is a
concatenation of cohorts. Tastes live in a space of TASTE_DIMENSIONS: users are standard normal there, tags, videos and
authors unit vectors, so that the affinity of a user and a video, their inner product, is standard normal over users.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sim.world import Bools, Floats, Ints, WorldConfig, days_to, generator

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
    """Authors in order of id: `quality`, standard normal; share of all uploads; share of each tag among one's own."""

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


def users_on(config: WorldConfig, day: date) -> Users:
    """Returns every user registered by the end of `day`; a user's id is its place.

    Raises UsageError for a day before the world's first.
    """
    count = _first_id(config, day + timedelta(days=1), config.users, config.new_users_share)
    return _first(_users_through(config, _horizon(config, day)), count)


def videos_on(config: WorldConfig, day: date) -> Videos:
    """Returns every video uploaded by the end of `day`, withdrawn ones too; a video's id is its place.

    Raises UsageError for a day before the world's first.
    """
    count = _first_id(config, day + timedelta(days=1), config.videos, config.new_videos_share)
    return _first(_videos_through(config, _horizon(config, day)), count)


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
        direction=unit(np.einsum("at,td->ad", tag_share, tag_directions(config))),
    )


def unit(vectors: Floats) -> Floats:
    """Returns the rows of `vectors` scaled to length 1."""
    scaled: Floats = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return scaled


def least_columns(scores: NDArray[np.floating[Any]], count: int) -> Ints:
    """Returns the columns of the `count` least entries of each row of `scores`, least first."""
    columns = np.argpartition(scores, min(count, scores.shape[1] - 1), axis=1)[:, :count]
    order = np.argsort(np.take_along_axis(scores, columns, axis=1), axis=1)
    return np.take_along_axis(columns, order, axis=1)


def _horizon(config: WorldConfig, day: date) -> date:
    """Returns the last of the least 2^n days that reach `day`: catalogues are joined for it, then sliced for `day`."""
    days = 1 << (len(days_to(config, day)) - 1).bit_length()
    return config.first_day + timedelta(days=days - 1)


@lru_cache(maxsize=8)
def _users_through(config: WorldConfig, day: date) -> Users:
    return _joined(Users, [_user_cohort(config, born) for born in days_to(config, day)])


@lru_cache(maxsize=8)
def _videos_through(config: WorldConfig, day: date) -> Videos:
    return _joined(Videos, [_video_cohort(config, born) for born in days_to(config, day)])


def _first_id(config: WorldConfig, born: date, initial: int, share: float) -> int:
    """Returns the lowest id of the cohort of day `born`, for a kind that starts with `initial` and grows by `share`."""
    days = (born - config.first_day).days
    return initial + round(initial * share) * (days - 1) if days > 0 else 0


def _cohort_ids(config: WorldConfig, born: date, initial: int, share: float) -> Ints:
    following = born + timedelta(days=1)
    return np.arange(_first_id(config, born, initial, share), _first_id(config, following, initial, share))


def _first(catalogue: Catalogue, count: int) -> Catalogue:
    return replace(catalogue, **{field.name: getattr(catalogue, field.name)[:count] for field in fields(catalogue)})


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


def _video_cohort(config: WorldConfig, born: date) -> Videos:
    ids = _cohort_ids(config, born, config.videos, config.new_videos_share)
    rng, size, authors = generator(config, "videos", born), len(ids), authors_of(config)
    age = rng.exponential(40.0, size).astype(np.int64) if born == config.first_day else np.zeros(size, np.int64)
    author = rng.choice(config.authors, size, p=authors.upload_share)
    # The largest of log share + Gumbel noise are tags drawn without replacement by their share.
    ranked = least_columns(-np.log(authors.tag_share[author]) - rng.gumbel(size=(size, config.tags)), 3)
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
