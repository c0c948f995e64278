"""What feature groups are: sums of impressions about an entity made into features, and facts of a row.

An author of a group writes expressions, never holds rows: the engine (features/tiles.py, features/point_in_time.py)
decides which rows a value may see, so a group cannot leak the future.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.table import Column, Table
from core.tables.impressions import TABLE as IMPRESSIONS
from features.duration_buckets import DURATION_BUCKET
from features.window import Window

Known = Literal["nightly", "request"]


@dataclass(frozen=True)
class Measure:
    """A daily sum: `sql`, a whole number per impression, added up. Whole, so that no order of adding changes it."""

    name: str
    sql: str
    doc: str


def count(name: str, doc: str) -> Measure:
    """Returns the measure that counts impressions."""
    return Measure(name, "1", doc)


def count_if(name: str, condition: str, doc: str) -> Measure:
    """Returns the measure that counts impressions for which the SQL `condition` is true."""
    return Measure(name, f"cast(coalesce({condition}, false) as int)", doc)


@dataclass(frozen=True)
class Value:
    """The feature ln(1 + sum of `measure`), one per window: counts span decades, and trees bin by rank anyway."""

    name: str
    measure: Measure
    doc: str

    @property
    def measures(self) -> tuple[Measure, ...]:
        return (self.measure,)


@dataclass(frozen=True)
class Rate:
    """The feature `top` per `bottom`, one per window, shrunk: (top + k · prior) / (bottom + k), in [0, 1].

    The prior is the same rate of the group's parent in the same window, so at n = 0 the rate is the parent's; in the
    group without a parent it is `base`. k, in impressions, comes from features/shrinkage.py. One impression is `scale`
    units of `bottom`. `squares` adds up each impression's squared share of `top`; not needed where that is 0 or 1.
    """

    name: str
    top: Measure
    bottom: Measure
    base: float
    doc: str
    squares: Measure | None = None
    scale: int = 1

    @property
    def measures(self) -> tuple[Measure, ...]:
        return (self.top, self.bottom, *([self.squares] if self.squares else []))


@dataclass(frozen=True)
class FeatureGroup:
    """Features about one entity, made of tiles, known every night.

    `entity` are columns of table impressions or DERIVED ones (none: everything); rows in which one is null are left
    out, as are rows for which the SQL `where` is not true; it may use `viewer_follows`, whether the user followed
    the author on the day the row arrived. `parent` is the group whose rates are this one's priors: its entity columns
    are among this group's, and it has the same rates and windows. `prior_strength`, in impressions, serves
    where there is too little to estimate it from. `max_age_hours` is how old a snapshot may be at scoring, counted
    from the end of its day. A group that is `only_prior` gives priors to others and no feature of its own.
    """

    name: str
    doc: str
    owner: str
    entity: tuple[str, ...]
    windows: tuple[Window, ...]
    features: tuple[Value | Rate, ...]
    prior_strength: float
    max_age_hours: int
    parent: str = ""
    where: str = ""
    only_prior: bool = False

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The measures that the features are made of, each once."""
        return tuple(dict.fromkeys(measure for feature in self.features for measure in feature.measures))

    @property
    def rates(self) -> tuple[Rate, ...]:
        return tuple(feature for feature in self.features if isinstance(feature, Rate))

    @property
    def columns(self) -> tuple[tuple[Value | Rate, Window, str], ...]:
        """Every feature in every window, with the name of its column in the snapshot."""
        return tuple((f, window, column_name(f.name, window)) for f in self.features for window in self.windows)

    @property
    def longest(self) -> int:
        """Days that the longest window reaches back."""
        return max(window.days for window in self.windows)

    @property
    def entity_columns(self) -> tuple[Column, ...]:
        by_name = {column.name: column for column in (*IMPRESSIONS.columns, *DERIVED)}
        return tuple(
            Column(name, by_name[name].type, by_name[name].doc, minimum=by_name[name].minimum) for name in self.entity
        )

    @property
    def tiles(self) -> Table:
        """The table of daily sums: one row per entity and day of event, in the partition of the day they arrived."""
        sums = tuple(Column(measure.name, "bigint", measure.doc, minimum=0) for measure in self.measures)
        event_on = Column("event_on", "date", "Day of the impressions, in the app's business time zone.")
        return Table(
            name=f"tiles_{self.name}",
            doc=f"Daily sums behind {self.name}. {self.doc}",
            owner=self.owner,
            columns=(*self.entity_columns, event_on, *sums),
            key=(*self.entity, "event_on"),
            fresh_for_hours=self.max_age_hours,
            min_rows=0 if self.where else 1,
        )

    @property
    def sums(self) -> Table:
        """The table of windowed sums at the end of `ds`, carried from night to night by features/running.py."""
        columns = tuple(
            Column(column_name(measure.name, window), "bigint", f"{measure.doc} {window.doc}", minimum=0)
            for measure in self.measures
            for window in self.windows
        )
        return Table(
            name=f"sums_{self.name}",
            doc=f"Windowed sums behind {self.name}. {self.doc}",
            owner=self.owner,
            columns=(*self.entity_columns, *columns),
            key=self.entity,
            fresh_for_hours=self.max_age_hours,
            min_rows=0,
        )

    @property
    def snapshot(self) -> Table:
        """The table of feature values as known at the end of `ds`: a row per entity seen in the longest window."""
        values = tuple(
            Column(name, "float", f"{feature.doc} {window.doc}", minimum=0.0) for feature, window, name in self.columns
        )
        return Table(
            name=f"features_{self.name}",
            doc=f"Features of {self.name}. {self.doc}",
            owner=self.owner,
            columns=(*self.entity_columns, *values),
            key=self.entity,
            fresh_for_hours=self.max_age_hours,
            min_rows=0 if self.where else 1,
        )


@dataclass(frozen=True)
class Fact:
    """A feature that is SQL over one row: of columns that features/point_in_time.py names, and `{group__feature}`.

    `known`: a nightly one is there when a feed is scored; a request one only when it is shown, and a feed is scored,
    and a ranked list judged, with `neutral` in its place. A categorical feature holds small whole numbers.
    """

    name: str
    sql: str
    doc: str
    unit: str = ""
    categorical: bool = False
    known: Known = "nightly"
    neutral: float | None = None


@dataclass(frozen=True)
class FactGroup:
    """Features read off a row, its user, its video and its author as they stood at the end of the snapshot's day."""

    name: str
    doc: str
    owner: str
    features: tuple[Fact, ...]
    max_age_hours: int


DERIVED = (DURATION_BUCKET,)
"""Entities that are made of columns of a row."""


def column_name(feature: str, window: Window) -> str:
    """Returns the snapshot column of `feature` in `window`; of a measure, the column of its sum while being made."""
    return f"{feature}_{window.name}"
