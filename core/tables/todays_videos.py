"""Every video of the pool as known within the day in progress: what a refreshed feed may show."""

from dataclasses import replace

from core.tables.videos import TABLE as VIDEOS

TABLE = replace(VIDEOS, name="todays_videos", doc=__doc__, fresh_for_hours=2, guarded=False)
