"""What each list of candidates is worth: of the long views that came, how many it had named, and what only it had.

A list is what one source, the merged candidates or a later stage names for users, in order. Truth is what users watched
for long afterwards, without what they had met before. Recall@k of a user: the share of their truth among the first k;
all figures are means over the users of the truth, one that the list does not serve counting 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.bootstrap import interval, resampled_sums
from models.estimate import Estimate

DEPTHS = (50, 100, 200)
DEPTH = 100
"""Where sources are compared with each other, and coverage is counted."""
GAIN_DEPTH = 20

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Users and videos, int64 of the same length; of a list also the place of each, first is 1."""

    user: Ids
    video: Ids
    rank: Ids

    def head(self, depth: int) -> Pairs:
        """Returns the first `depth` of each user."""
        there = self.rank <= depth
        return Pairs(self.user[there], self.video[there], self.rank[there])


@dataclass(frozen=True)
class Truth:
    """Who watched what for long: the pairs, each once, as sorted codes, and how many each user has."""

    users: Ids
    codes: Ids
    sizes: NDArray[np.float64]
    videos: int

    def code(self, pairs: Pairs) -> tuple[Ids, Ids, NDArray[np.bool_]]:
        """Returns the code and the user's place of every pair, and whether the user is one of the truth."""
        place = np.minimum(np.searchsorted(self.users, pairs.user), len(self.users) - 1)
        return place * self.videos + pairs.video, place, self.users[place] == pairs.user


def truth(user: Ids, video: Ids) -> Truth:
    """Returns the truth of these long views, repeated ones counting once; raises ValueError where there are none."""
    if not len(user):
        raise ValueError("no one watched anything for long: nothing to measure by")
    users, place = np.unique(user, return_inverse=True)
    videos = int(video.max()) + 1
    codes = np.unique(place * videos + video)
    return Truth(users, codes, np.bincount(codes // videos, minlength=len(users)).astype(np.float64), videos)


def is_true(found: Pairs, true: Truth) -> NDArray[np.bool_]:
    """Returns of every pair of `found` whether it is one of the truth."""
    codes, _, there = true.code(found)
    at = np.minimum(np.searchsorted(true.codes, codes), len(true.codes) - 1)
    # Beyond the largest video of the truth a code would be that of another user.
    right: NDArray[np.bool_] = there & (found.video < true.videos) & (true.codes[at] == codes)
    return right


def hits(found: Pairs, true: Truth) -> tuple[Ids, Ids]:
    """Returns the user's place and the rank of every pair of `found` that is true."""
    right = is_true(found, true)
    return np.searchsorted(true.users, found.user[right]), found.rank[right]


def recall(found: Pairs, true: Truth, depth: int) -> NDArray[np.float64]:
    """Returns recall@depth of every user of the truth, float64 (users,)."""
    place, rank = hits(found, true)
    return np.bincount(place[rank <= depth], minlength=len(true.users)) / true.sizes


def gain(found: Pairs, true: Truth, depth: int = GAIN_DEPTH) -> NDArray[np.float64]:
    """Returns nDCG@depth of every user of the truth, gain 1 a long view, the ideal having all of them first."""
    place, rank = hits(found, true)
    near = rank <= depth
    discount = 1.0 / np.log2(np.arange(2, depth + 2))
    ideal = np.cumsum(discount)[np.minimum(true.sizes.astype(int), depth) - 1]
    made: NDArray[np.float64] = np.bincount(place[near], discount[rank[near] - 1], minlength=len(true.users)) / ideal
    return made


def only(lists: Mapping[str, Pairs], name: str, true: Truth, depth: int = DEPTH) -> NDArray[np.float64]:
    """Returns, of every user, the share of the truth that is in the head of list `name` and of no other."""
    mine = np.unique(_true_codes(lists[name].head(depth), true))
    others = [_true_codes(found.head(depth), true) for other, found in lists.items() if other != name]
    alone = mine[~np.isin(mine, np.concatenate(others))] if others else mine
    return np.bincount(alone // true.videos, minlength=len(true.users)) / true.sizes


def _true_codes(found: Pairs, true: Truth) -> Ids:
    return true.code(found)[0][is_true(found, true)]


def overlap(one: Pairs, other: Pairs, depth: int = DEPTH) -> float:
    """Returns the share of the pairs in the head of `one` that are in that of `other` too; 0 where there are none."""
    a, b = one.head(depth), other.head(depth)
    if not len(a.user):
        return 0.0
    videos = int(max(a.video.max(), b.video.max(initial=0))) + 1
    return float(np.isin(a.user * videos + a.video, b.user * videos + b.video).mean())


def means(columns: Mapping[str, NDArray[np.float64]], seed: int) -> dict[str, Estimate]:
    """Returns the mean over users of each column (users,) and its 95 % interval; all share their draws: they pair."""
    names = list(columns)
    values = np.column_stack([*columns.values(), np.ones(len(columns[names[0]]))])
    drawn = resampled_sums(values, seed)
    return {
        name: Estimate(float(columns[name].mean()), *interval(drawn[:, i] / drawn[:, -1]))
        for i, name in enumerate(names)
    }
