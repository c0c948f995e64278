"""What RecTools' two-stage model asks its user to write: targets of the reranker, its features, its groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from rectools import Columns
from rectools.dataset import Dataset, Interactions
from rectools.model_selection import TimeRangeSplitter
from rectools.models.ranking import CandidateFeatureCollector, Reranker

CATEGORICAL = ["activity", "tag"]


class LongViewSplitter(TimeRangeSplitter):  # type: ignore[misc]
    """RecTools' split by time whose later part may hold long views only, so that the reranker learns what is tested."""

    def __init__(self, test_size: str, long_views_only: bool) -> None:
        super().__init__(test_size)
        self.long_views_only = long_views_only

    def split(
        self, interactions: Interactions, collect_fold_stats: bool = False
    ) -> Iterator[tuple[np.ndarray, np.ndarray, dict[str, Any]]]:
        """Yields row numbers before and after the split, and its facts; a weight above 1 is a long view."""
        for before, after, facts in super().split(interactions, collect_fold_stats):
            is_long_view = interactions.df[Columns.Weight].to_numpy() > 1
            yield before, after[is_long_view[after]] if self.long_views_only else after, facts


class Features(CandidateFeatureCollector):  # type: ignore[misc]
    """Features of candidates from the interactions that the model may know at that moment, and from the tables.

    Of a user: activity (category), pairs and the share of them with a long view. Of a video: the same two, those of
    its author, duration_ms and its tag (category).
    """

    def __init__(self, users: pd.DataFrame, pool: pd.DataFrame) -> None:
        self.users = users.set_index("user_id")["activity"].astype("category")
        self.videos = pool.set_index("video_id").assign(tag=lambda frame: frame["tag_id"].astype("category"))

    def _get_user_features(self, users: np.ndarray, dataset: Dataset, fold_info: object) -> pd.DataFrame:
        known = _sums(dataset, Columns.User, "user")
        frame = pd.DataFrame({Columns.User: users}).join(known, on=Columns.User).join(self.users, on=Columns.User)
        return frame

    def _get_item_features(self, items: np.ndarray, dataset: Dataset, fold_info: object) -> pd.DataFrame:
        authors = _sums(dataset, self.videos["author_id"], "author")
        return (
            pd.DataFrame({Columns.Item: items})
            .join(_sums(dataset, Columns.Item, "video"), on=Columns.Item)
            .join(self.videos[["author_id", "duration_ms", "tag"]], on=Columns.Item)
            .join(authors, on="author_id")
            .drop(columns="author_id")
        )


def _sums(dataset: Dataset, by: str | pd.Series, name: str) -> pd.DataFrame:
    """Returns pairs and share of long views by a column, or by what a series holds for each video."""
    pairs = dataset.get_raw_interactions()
    keys = pairs[by] if isinstance(by, str) else pairs[Columns.Item].map(by)
    found = (pairs[Columns.Weight] > 1).groupby(keys.to_numpy()).agg(["size", "mean"])
    return found.rename(columns={"size": f"{name}_pairs", "mean": f"{name}_long_view_rate"})


class GroupedReranker(Reranker):  # type: ignore[misc]
    """RecTools' reranker for LightGBM's LGBMRanker, which wants a user's rows together and their number."""

    def prepare_fit_kwargs(self, candidates_with_target: pd.DataFrame) -> Mapping[str, Any]:
        """Returns the arguments of LGBMRanker.fit, rows sorted by user."""
        together = candidates_with_target.sort_values(Columns.User, kind="stable")
        sizes = together.groupby(Columns.User).size().to_numpy()
        return {**super().prepare_fit_kwargs(together), "group": sizes}
