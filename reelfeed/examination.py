"""`reelfeed examination`: how much each place of a session is looked at, from the random slots of some days."""

from __future__ import annotations

from datetime import date

from core.errors import MissingDataError
from core.lake import Lake
from core.settings import Settings
from core.tables.impressions import TABLE as IMPRESSIONS
from models.examination import examination


def told(settings: Settings, first: date, last: date) -> str:
    """Returns examination by place, of the impressions that arrived from `first` to `last`, as text.

    Raises MissingDataError where there are none, UsageError where too few random slots have a position.
    """
    import pyarrow.compute as pc

    lake = Lake(settings.lake)
    days = [day for day in lake.days(IMPRESSIONS) if first <= day <= last]
    if not days:
        raise MissingDataError(
            f"no impressions from {first} to {last}",
            where="table impressions",
            next_step=f"reelfeed run ingest_events --from {first} --ds {last}",
        )
    rows = lake.read_arrow(IMPRESSIONS, days, ["user_id", "position", "is_random", "is_long_view"])
    rows = rows.filter(pc.and_(rows["is_random"], pc.is_valid(rows["position"])))
    user, position, outcome = (rows[name].to_numpy() for name in ("user_id", "position", "is_long_view"))
    found = examination(user, position, outcome, settings.seed)
    lines = [f"{rows.num_rows:,} random slots, long views, {first} to {last}; the first place is 1", ""]
    for begin, one in zip(found.first, found.estimates, strict=True):
        lines.append(f"  from place {begin:3}   {one.value:.3f}  [{one.low:.3f}, {one.high:.3f}]")
    return "\n".join(lines)
