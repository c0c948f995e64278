"""What users were shown on the day in progress, up to an hour: for refreshed feeds alone. Nothing is learned from it.

The night takes the same day in anew (table impressions), with rows that were late and all checks: that is the truth.
"""

from dataclasses import replace

from core.table import Column
from core.tables.impressions import TABLE as IMPRESSIONS

UNTIL = Column(
    "until_hour",
    "int",
    "Hour of ds that the whole partition goes up to: rows are those that had arrived when it began.",
    unit="h",
    minimum=1,
    maximum=24,
)

TABLE = replace(
    IMPRESSIONS,
    name="todays_impressions",
    doc=__doc__,
    columns=(*IMPRESSIONS.columns, UNTIL),
    fresh_for_hours=2,
    guarded=False,
)
