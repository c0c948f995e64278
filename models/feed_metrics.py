"""What feeds are like as a whole, beside how well they are ordered.

- **coverage**: showable videos in at least one feed, over all showable videos (Herlocker et al. 2004).
- **exposure_gini**: Gini coefficient of the slots x that each showable video gets, none among them. Sorted upwards,
  G = Σᵢ (2i - n - 1) xᵢ / (n Σᵢ xᵢ), i from 1: 0 where all get the same, 1 - 1/n where one gets everything.
- **diversity**: mean cosine distance over the pairs of videos of a feed (Ziegler et al. 2005). With unit vectors u of
  n videos it is 1 - (|Σ u|² - n) / (n (n - 1)), which needs no pair. `diversity_tags` takes a video's set of tags as
  its vector, `diversity_SOURCE` what that source embedded; a video without a vector is left out.
- **age_days**: days from upload to the day that the feed is served. **new_videos**: share of slots whose video was
  uploaded less than NEW_DAYS days before the day that the feed was made on, which source `fresh` calls new.
- **value**: predicted value of a slot. **tier_TIER**: share of slots of that tier.
- **users**: share of all users that are of the cohort.

All but the first two and the last are the mean of a feed, and of these the mean over users.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.bootstrap import all_sums, estimate
from models.estimate import Estimate
from models.metrics import ratio

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]


def coverage(exposures: Integers) -> float:
    """Returns the share of videos that are in some feed, of slots a video (videos,); NaN without videos."""
    return float(np.mean(exposures > 0)) if len(exposures) else float("nan")


def gini(exposures: Integers) -> float:
    """Returns how unequally slots are dealt out, in [0, 1), of slots a video (videos,), none negative.

    NaN where there is no slot.
    """
    total, videos = float(exposures.sum()), len(exposures)
    if total == 0:
        return float("nan")
    place = np.arange(1, videos + 1)
    return float(np.sum((2 * place - videos - 1) * np.sort(exposures)) / (videos * total))


def unit_rows(vectors: csr_array) -> csr_array:
    """Returns sparse `vectors` (videos, dimensions), every row of length 1; a row of zeros stays one."""
    from scipy.sparse import csr_array, diags_array

    length = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1), dtype=np.float64).ravel())
    return csr_array(diags_array(np.divide(1.0, length, out=np.zeros_like(length), where=length > 0)) @ vectors)


def tag_vectors(tags: Integers, counts: Integers) -> csr_array:
    """Returns a row of zeros and ones for each video (videos, tags): `tags` of all, one video after the other, of
    which `counts` (videos,) are each one's. A tag given twice counts once."""
    from scipy.sparse import csr_array

    known, column = np.unique(tags, return_inverse=True)
    row = np.repeat(np.arange(len(counts)), counts)
    marks = csr_array((np.ones(len(tags)), (row, column)), shape=(len(counts), max(len(known), 1)))
    marks.sum_duplicates()
    marks.data[:] = 1.0
    return marks


def diversity(user: Integers, video: Integers, vectors: csr_array, users: int) -> Floats:
    """Returns each user's mean distance between two videos of the feed, float64 (users,), in [0, 2].

    Slots (slots,) are places of users, and of videos in `vectors` (videos, dimensions), which have length 1 or 0; no
    video repeats within a user. NaN for a user with fewer than two videos that have a vector.
    """
    from scipy.sparse import csr_array

    has_vector = np.diff(vectors.indptr) > 0
    there = has_vector[video]
    slots = csr_array(
        (np.ones(int(there.sum())), (user[there], video[there])), shape=(users, vectors.shape[0]), dtype=np.float64
    )
    total = slots @ vectors
    squared = np.asarray(total.multiply(total).sum(axis=1), dtype=np.float64).ravel()
    count = np.bincount(user[there], minlength=users).astype(np.float64)
    return 1 - ratio(squared - count, count * (count - 1))


def per_user(user: Integers, values: Floats, users: int) -> Floats:
    """Returns the mean of `values` (slots,) of each user, float64 (users,); NaN, here and there, is no value."""
    there = ~np.isnan(values)
    total, count = np.bincount(user[there], values[there], users), np.bincount(user[there], minlength=users)
    return ratio(total.astype(np.float64), count.astype(np.float64))


def means(columns: Mapping[str, Floats], cohorts: Mapping[str, Mask], seed: int) -> dict[tuple[str, str], Estimate]:
    """Returns by metric and cohort the mean of `columns`, each one number a user or NaN for none, with 95 % intervals.

    A metric that no one of a cohort has is left out.
    """
    found: dict[tuple[str, str], Estimate] = {}
    for cohort, mask in cohorts.items():
        chosen = {name: column[mask] for name, column in columns.items()}
        there = {name: ~np.isnan(column) for name, column in chosen.items()}
        names = [name for name in chosen if there[name].any()]
        if not names:
            continue
        tops = np.column_stack([np.where(there[name], chosen[name], 0.0) for name in names])
        bottoms = np.column_stack([there[name].astype(np.float64) for name in names])
        sums = all_sums(np.column_stack([tops, bottoms]), seed)
        for place, name in enumerate(names):
            found[name, cohort] = estimate(ratio(sums[:, place], sums[:, len(names) + place]))
    return found
