"""Feeds made anew within the day after their night, of users who were active in it; the columns of table feeds, hourly.

All hours of a day stay: an impression of the morning has the probability that it had in the morning.
"""

from dataclasses import replace

from core.table import Column
from core.tables.feeds import TABLE as FEEDS

HOUR = Column(
    "hour", "int", "Hour of ds at which it was made, of what had arrived by then.", unit="h", minimum=1, maximum=24
)
PUBLICATION = Column("publication", "int", "Number of the publication whose feed it stands in for.", minimum=1)

TABLE = replace(
    FEEDS,
    name="refreshed_feeds",
    doc=__doc__,
    columns=(HOUR, PUBLICATION, *FEEDS.columns),
    key=("recipe", "hour", "user_id", "slot"),
    fresh_for_hours=2,
    min_rows=0,
    guarded=False,
)
