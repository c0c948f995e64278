"""What a factorisation machine, fitted every night, says of user, video and surface together."""

from core.tables.machine_factors import PARTS, RANK, TABLE, beside
from features.group import Fact, FactGroup


def summed(column: str) -> str:
    """Returns the SQL that adds up `column` of all parts, which features/point_in_time.py puts beside a row."""
    return "(" + " + ".join(beside(part, column) for part in PARTS) + ")"


PAIRS = " + ".join(f"{summed(str(element))} * {summed(str(element))}" for element in range(RANK))

GROUP = FactGroup(
    name="machine",
    doc=f"{__doc__} No tree sees it: head long_view averages it with what its trees say (decision 20).",
    owner="feed-ranking",
    features=(
        Fact(
            "long_view_log_odds",
            f"{summed('bias')} + ({PAIRS} - {summed('square')}) / 2",
            "Log odds of a long view, by what users, videos, authors, tags, lengths and surfaces were like until then.",
            "ln odds",
        ),
    ),
    max_age_hours=TABLE.fresh_for_hours,
)
