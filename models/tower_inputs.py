"""What the two towers learn from, as arrays, and what is chosen rather than learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]

UNKNOWN_DAY = -1
"""Day of upload of a video for which it is not known."""


@dataclass(frozen=True)
class Plan:
    """What is chosen rather than learned; models/towers.py says what most are for.

    `weight`: how much more than an impression a long view counts. `rate`: Adagrad's. `rarely`: of users and of videos.
    `most_examples`: of an epoch, drawn anew each time. `held_out`: share of the rows that judges. `patience`: epochs on
    end without a better one. Chosen by recall@100 of long views on the two days after those fitted, on KuaiRand and in
    the simulated world; what mattered: `history` (30: worse in the world) and `hard` (1.0: no better than popularity).
    """

    dimensions: int = 32
    history: int = 100
    batch: int = 512
    negatives: int = 256
    hidden: float = 0.1
    hard: float = 0.05
    weight: float = 3.0
    rate: float = 0.05
    rarely: tuple[int, int] = (20, 5)
    most_examples: int = 200_000
    most_epochs: int = 8
    patience: int = 1
    held_out: float = 0.1


@dataclass(frozen=True)
class Met:
    """Impressions in order of user and time, (rows,) each: places among the users and the videos, time, day."""

    user: Ints
    video: Ints
    at: Ints
    day: Ints
    is_long_view: Bools
    is_not_interested: Bools


@dataclass(frozen=True)
class Features:
    """What is known of users and videos without any impression.

    `activity` (users,): class, from 1; 0 is unknown. `words` (videos, any): numbers from 1, and 0 for none. `uploaded`
    (videos,): day or UNKNOWN_DAY. `may_show` (videos,): whether the video is in the pool.
    """

    activity: Ints
    words: Ints
    uploaded: Ints
    may_show: Bools
