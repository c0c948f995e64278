"""How old a snapshot may be: what is younger than its group's max_age serves, what is older counts as unseen."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

HOURS_A_DAY = 24


def newest_usable(there: Iterable[date], wanted: Iterable[date], max_age_hours: int) -> dict[date, date]:
    """Returns for each of the `wanted` days the newest of the days `there` that may stand for it.

    Never a later one, nor one whose end lies more than `max_age_hours` before the wanted day's; a day for which
    nothing may stand is left out.
    """
    known = sorted(there)
    found = {}
    for day in wanted:
        earlier = [each for each in known if each <= day]
        if earlier and (day - earlier[-1]).days * HOURS_A_DAY <= max_age_hours:
            found[day] = earlier[-1]
    return found
