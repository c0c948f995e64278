"""Which day, and which hour of it, a run of a DAG is for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any


def day(context: Mapping[str, Any]) -> str:
    """Returns the day (YYYY-MM-DD) that a run is for.

    The param ds where one was given; else the day of the asset event that set the run off; else the first day of the
    run's data interval; for a run that has none, the day before it was asked for.
    """
    if context["params"].get("ds"):
        return str(context["params"]["ds"])
    announced = [event.extra["ds"] for events in _triggers(context) for event in events if "ds" in event.extra]
    if announced:
        return str(max(announced))
    run = context["dag_run"]
    start = run.data_interval_start or run.run_after - timedelta(days=1)
    return str(start.date())


def hour(context: Mapping[str, Any]) -> int:
    """Returns the hour, 1 to 24, of the day of `day` that a run is for: what had arrived when it began may be known.

    The param hour where one was given; else, unless the param ds says another day, that in which the run's data
    interval ends; else 24, the whole day.
    """
    params, end = context["params"], context["dag_run"].data_interval_end
    if params.get("hour"):
        return int(params["hour"])
    if params.get("ds") or end is None:
        return 24
    return int((end - timedelta(hours=1)).hour) + 1


def _triggers(context: Mapping[str, Any]) -> list[Any]:
    events = context.get("triggering_asset_events")
    return list(events.values()) if events else []
