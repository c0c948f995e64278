"""What a candidate source is: it learns from published tables, then names videos for users."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import TYPE_CHECKING

from core.registry import declarations
from models import sources

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

IMPRESSION_COLUMNS = (
    *("user_id", "video_id", "author_id", "shown_at", "shown_on"),
    *("is_long_view", "is_like", "is_follow", "is_not_interested"),
)
VIDEO_COLUMNS = ("video_id", "author_id", "tag_id", "tags", "duration_ms", "uploaded_on", "music_id")

SCORE_UNIT = 1e-6
"""Links are summed as whole multiples of this, so that the order of adding changes nothing."""


@dataclass(frozen=True)
class Known:
    """What a source may learn from, as of the end of `ds`.

    `impressions`: those of the last 28 days, with IMPRESSION_COLUMNS. `videos`: those that may be shown, with
    VIDEO_COLUMNS. `users` (user_id, activity) and `follows` (user_id, author_id): as in the tables of these names.
    """

    impressions: DataFrame
    videos: DataFrame
    users: DataFrame
    follows: DataFrame
    ds: date
    seed: int


@dataclass(frozen=True)
class Source:
    """A candidate source.

    `fit` returns the source's model: rows of table source_models without `source` and `ds`, none where there is nothing
    to learn from. `propose` takes that model, `histories` (one row per user: user_id; seen, array of videos not to show
    again; recent, array of the last videos shown, newest first) and a quota, and returns one row per user: user_id and
    the arrays videos and scores, at most `quota` unseen videos, best first, the same for the same seed. A user for whom
    it has nothing has no row. A source that `serves_new_users` proposes to users without history.
    """

    name: str
    doc: str
    owner: str
    serves_new_users: bool
    fit: Callable[[Known], DataFrame]
    propose: Callable[[DataFrame, DataFrame, int], DataFrame]


@cache
def all_sources() -> dict[str, Source]:
    """Returns every candidate source by name, sorted: the files of models/sources/."""
    return declarations(sources, "SOURCE")
