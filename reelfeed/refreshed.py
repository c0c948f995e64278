"""Where a video stands in a user's feed since it was made anew within the day: a line for `reelfeed explain`."""

from __future__ import annotations

from datetime import date, timedelta

from core.lake import Lake
from core.tables.refreshed_feeds import TABLE as REFRESHED_FEEDS


def refreshed(lake: Lake, recipe: str, night: date, user_id: int, video_id: int) -> list[str]:
    """Returns what the last feed made anew on the day after `night` says of the video; nothing where there is none."""
    import pyarrow.compute as pc

    day = night + timedelta(days=1)
    if day not in lake.days(REFRESHED_FEEDS):
        return []
    own = (pc.field("ds") == day) & (pc.field("recipe") == recipe) & (pc.field("user_id") == user_id)
    columns = ["hour", "slot", "video_id", "propensity"]
    rows = lake.dataset(REFRESHED_FEEDS).to_table(columns=columns, filter=own).to_pylist()
    if not rows:
        return []
    hour = max(row["hour"] for row in rows)
    feed = [row for row in rows if row["hour"] == hour]
    found = next((row for row in feed if row["video_id"] == video_id), None)
    place = f"slot {found['slot']} of {len(feed)}, probability {found['propensity']:.4g}" if found else "it has no slot"
    return ["", "Within the day", f"  at hour {hour} of {day} the feed was made anew: {place}"]
