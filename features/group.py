"""What a feature group is: daily sums over impressions about one entity, and the features made of their windows.

An author of a group writes expressions, never holds rows: the engine (features/tiles.py, features/point_in_time.py)
decides which rows a value may see, so a group cannot leak the future.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.table import Column, Table
from core.tables.impressions import TABLE as IMPRESSIONS


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
    measure: str
    doc: str


@dataclass(frozen=True)
class Rate:
    """The feature `top` per `bottom`, one per window, shrunk: (top + k · prior) / (bottom + k), in [0, 1].

    k is `prior_strength`, in units of `bottom`; the prior is the same rate of the group's parent in the same window,
    so at n = 0 the rate is the parent's. In the group without a parent the prior is `base`.
    """

    name: str
    top: str
    bottom: str
    prior_strength: float
    base: float
    doc: str


@dataclass(frozen=True)
class FeatureGroup:
    """Features about one entity, known every night.

    `entity` are columns of table impressions (none: everything); rows in which one is null are left out.
    `windows` are lengths in days that end with the snapshot's day. `parent` is the group whose rates are this one's
    priors: its entity columns are among this group's and it has the same rates. `max_age_hours` is how old a snapshot
    may be at scoring. A group that is `only_prior` gives priors to others and no feature of its own.
    """

    name: str
    doc: str
    owner: str
    entity: tuple[str, ...]
    measures: tuple[Measure, ...]
    windows: tuple[int, ...]
    features: tuple[Value | Rate, ...]
    max_age_hours: int
    parent: str = ""
    only_prior: bool = False

    @property
    def entity_columns(self) -> tuple[Column, ...]:
        by_name = {column.name: column for column in IMPRESSIONS.columns}
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
        )

    @property
    def snapshot(self) -> Table:
        """The table of window sums as known at the end of `ds`: one row per entity seen in the longest window."""
        sums = tuple(
            Column(window_column(measure.name, window), "bigint", f"{measure.doc} Last {window} days.", minimum=0)
            for measure in self.measures
            for window in self.windows
        )
        return Table(
            name=f"features_{self.name}",
            doc=f"Window sums behind {self.name}. {self.doc}",
            owner=self.owner,
            columns=(*self.entity_columns, *sums),
            key=self.entity,
            fresh_for_hours=self.max_age_hours,
        )


def window_column(measure: str, window: int) -> str:
    """Returns the snapshot column that holds the sum of `measure` over the last `window` days."""
    return f"{measure}_{window}d"
