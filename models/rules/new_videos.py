"""In every `within` slots, `least` for videos of the source `fresh`, in its order and not in that of value.

Their showings are dealt out evenly by the source (models/sources/fresh.py); value, of which little is known yet, would
give all of them to the same few. They take the middle of their `within` slots; where there are fewer, the others move
up.
"""

from __future__ import annotations

from models.rule import Rule

RULE = Rule(
    name="new_videos", doc=__doc__, kind="floor", columns=("fresh_rank",), parameters={"least": 1, "within": 25}
)
