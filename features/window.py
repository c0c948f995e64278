"""Windows: which days before a snapshot count, and how much each."""

from __future__ import annotations

from dataclasses import dataclass

DECAY_UNIT = 1 << 16


@dataclass(frozen=True)
class Window:
    """The `days` days that end with the snapshot's own; all count alike, or decayed: each counts half of the one
    `half_life_days` later.

    Weights are whole numbers of 1 / `unit`, so that sums do not depend on the order in which rows are added.
    """

    name: str
    days: int
    half_life_days: float = 0.0

    @property
    def unit(self) -> int:
        """What a weight of 1 is in the sums of this window."""
        return DECAY_UNIT if self.half_life_days else 1

    @property
    def doc(self) -> str:
        if self.half_life_days:
            return f"Last {self.days} days, a day counting half of the one {self.half_life_days:g} days later."
        return f"Last {self.days} day{'s' if self.days > 1 else ''}."

    def weight(self, age: int) -> int:
        """Returns what a day `age` days before the snapshot's counts, in units; 0 outside the window."""
        if not 0 <= age < self.days:
            return 0
        return round(DECAY_UNIT * 0.5 ** (age / self.half_life_days)) if self.half_life_days else 1

    def weight_sql(self, age: str) -> str:
        """Returns the SQL of the same, `age` being SQL of a whole number of at least 0."""
        if not self.half_life_days:
            return f"if({age} < {self.days}, 1L, 0L)"
        weights = ", ".join(f"{self.weight(each)}L" for each in range(self.days))
        return f"if({age} < {self.days}, array({weights})[least({age}, {self.days - 1})], 0L)"


def last(*days: int) -> tuple[Window, ...]:
    """Returns the plain windows of these lengths in days, named `7d` and the like."""
    return tuple(Window(f"{each}d", each) for each in days)


DECAYED = Window("decayed", 28, half_life_days=7.0)
