"""A snapshot never stands for an earlier day, nor for one that it is too old for."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from features.freshness import newest_usable

FIRST = date(2026, 1, 1)
days = st.lists(st.integers(0, 40).map(lambda n: FIRST + timedelta(days=n)), max_size=12)


@given(there=days, wanted=days, hours=st.integers(0, 200))
def test_the_newest_that_is_neither_late_nor_stale(there: list[date], wanted: list[date], hours: int) -> None:
    used = newest_usable(there, wanted, hours)
    for day in wanted:
        usable = [each for each in there if each <= day and (day - each).days * 24 <= hours]
        assert used.get(day) == max(usable, default=None)
