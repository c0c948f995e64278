"""What a simulated world is made from: its configuration, and one generator for each stream of its randomness.

The key property of the world: a day is a function of the configuration and the day alone. Nothing is carried from one
day to the next, so any day can be made by itself and in any order.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, fields
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


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
