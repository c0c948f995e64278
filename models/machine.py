"""The factorisation machine of long views as feeds use it: what it learns from, and what of it is published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.tables.machine_factors import PARTS
from features.duration_buckets import duration_buckets
from models.factorisation import Machine

if TYPE_CHECKING:
    import pyarrow as pa

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

IDS = ("user_id", "video_id", "author_id", "tag_id", "surface")
FIELDS = (*IDS, "duration")
"""What a machine knows of an impression, all of it known when a feed is made."""
USER, VIDEO, SURFACE = (FIELDS.index(name) for name in ("user_id", "video_id", "surface"))
OF_VIDEO = ("video_id", "author_id", "tag_id", "duration")
NO_TAG = -1


def fields(rows: pa.Table, names: tuple[str, ...] = FIELDS) -> Ints:
    """Returns the fields `names`, int64 (rows, names), of `rows`, which have their columns, `duration_ms` for the last.

    A video without a tag has NO_TAG, one of unknown length a bucket of its own.
    """
    import pyarrow as pa

    found = [rows[name].fill_null(NO_TAG).to_numpy().astype(np.int64) for name in names if name in IDS]
    if "duration" in names:
        found.append(duration_buckets(rows["duration_ms"].cast(pa.float64()).to_numpy() / 1000))
    columns: Ints = np.column_stack(found)
    return columns


@dataclass(frozen=True)
class Factors:
    """Rows of table machine_factors: float64 `bias` (rows,), `vector` (rows, rank), `square` (rows,)."""

    part: NDArray[np.str_]
    entity: Ints
    bias: Floats
    vector: Floats
    square: Floats


def factors(machine: Machine, videos: Ints) -> Factors:
    """Returns what `machine`, of FIELDS, says of every user and surface it knows, and of `videos`.

    `videos` (videos, OF_VIDEO) are those that feeds may show, learnt from or not. The surfaces' biases hold the
    intercept.
    """
    users, surfaces = (machine.values[field] for field in (USER, SURFACE))
    of_videos = [machine.learned(FIELDS.index(name), videos[:, place]) for place, name in enumerate(OF_VIDEO)]
    surface_bias, surface_vector = machine.learned(SURFACE, surfaces)
    parts = {
        "user": (users, [machine.learned(USER, users)]),
        "video": (videos[:, 0], of_videos),
        "surface": (surfaces, [(surface_bias + machine.intercept, surface_vector)]),
    }
    learned = [parts[name][1] for name in PARTS]
    return Factors(
        np.repeat(PARTS, [len(parts[name][0]) for name in PARTS]),
        np.concatenate([parts[name][0] for name in PARTS]),
        np.concatenate([np.sum([bias for bias, _ in each], axis=0) for each in learned]),
        np.concatenate([np.sum([vector for _, vector in each], axis=0) for each in learned]),
        np.concatenate([np.sum([(vector**2).sum(axis=1) for _, vector in each], axis=0) for each in learned]),
    )
