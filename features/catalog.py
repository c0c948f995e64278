"""Every feature there is, in the one order that training rows, models and scoring share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import Literal

from core.registry import declarations
from features import groups
from features.group import FeatureGroup, Rate, Value, window_column

Known = Literal["nightly", "request"]


@dataclass(frozen=True)
class Feature:
    """One number of the vector. `sql` is over a row that features.point_in_time has joined.

    `known`: nightly features are there when a feed is scored; request features only when it is shown, and
    are scored at the recipe's or a neutral value. A categorical feature holds small whole numbers.
    """

    name: str
    sql: str
    doc: str
    unit: str
    known: Known
    owner: str
    categorical: bool = False


CONTEXT = (
    Feature("video__duration", "duration_ms / 1000.0", "Length of the video.", "s", "nightly", "feed-ranking"),
    Feature(
        "video__age",
        "datediff(date_add(snapshot_ds, 1), uploaded_on)",
        "Days from upload to the day the feed is shown.",
        "days",
        "nightly",
        "feed-ranking",
    ),
    Feature("user__account_age", "account_age_days", "Days since registration.", "days", "nightly", "feed-ranking"),
    Feature(
        "user__following", "ln(1 + following_count)", "Accounts followed, ln(1 + n).", "", "nightly", "feed-ranking"
    ),
    Feature("user__followers", "ln(1 + follower_count)", "Followers, ln(1 + n).", "", "nightly", "feed-ranking"),
    Feature(
        "request__surface",
        "surface",
        "Surface that shows the feed; a feed is scored for its recipe's.",
        "",
        "request",
        "feed-ranking",
        categorical=True,
    ),
)


@cache
def all_groups() -> dict[str, FeatureGroup]:
    """Returns every feature group by name, sorted: the files of features/groups/."""
    return declarations(groups, "GROUP")


@cache
def features() -> tuple[Feature, ...]:
    """Returns every feature: the groups' by group, feature and window, then the context's."""
    found = [
        Feature(
            f"{group.name}__{feature.name}_{window}d",
            expression(group, feature, window),
            f"{feature.doc} Last {window} days.",
            "" if isinstance(feature, Value) else "share",
            "nightly",
            group.owner,
        )
        for group in all_groups().values()
        if not group.only_prior
        for feature in group.features
        for window in group.windows
    ]
    return (*found, *CONTEXT)


def expression(group: FeatureGroup, feature: Value | Rate, window: int) -> str:
    """Returns the SQL of `feature` over a joined row; entities without a snapshot row count as never seen."""
    if isinstance(feature, Value):
        return f"ln(1 + {_sum(group, feature.measure, window)})"
    strength = f"{float(feature.prior_strength)!r}D"
    top, bottom = _sum(group, feature.top, window), _sum(group, feature.bottom, window)
    return f"(({top} + {strength} * {_prior(group, feature, window)}) / ({bottom} + {strength}))"


def _prior(group: FeatureGroup, feature: Rate, window: int) -> str:
    if not group.parent:
        return f"{feature.base!r}D"
    parent = all_groups()[group.parent]
    upper = next(other for other in parent.features if isinstance(other, Rate) and other.name == feature.name)
    return expression(parent, upper, window)


def _sum(group: FeatureGroup, measure: str, window: int) -> str:
    return f"coalesce({joined_column(group, measure, window)}, 0)"


def joined_column(group: FeatureGroup, measure: str, window: int) -> str:
    """Returns the name that a snapshot's window sum has in a joined row."""
    return f"{group.name}__{window_column(measure, window)}"


def feature_names() -> tuple[str, ...]:
    """Returns the names in the order of the vector."""
    return tuple(feature.name for feature in features())


def categorical_names() -> tuple[str, ...]:
    return tuple(feature.name for feature in features() if feature.categorical)


def feature_set() -> str:
    """Returns twelve hex digits that change when any feature's name, order or formula does."""
    content = "\n".join(f"{feature.name}={feature.sql}" for feature in features())
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def popularity_sql() -> str:
    """Returns the SQL of the popularity baseline: the video's shrunk long-view rate in its longest window."""
    group = all_groups()["video_reception"]
    rate = next(feature for feature in group.features if feature.name == "long_view_rate")
    return expression(group, rate, max(group.windows))
