"""Whom a user has blocked or muted at the end of the day: authors whose videos no feed of theirs may show.

Empty where the logs hold none.
"""

from core.table import Column, Table

TABLE = Table(
    name="blocked_authors",
    doc=__doc__,
    owner="feed-data",
    columns=(
        Column("user_id", "bigint", "Who blocked or muted.", minimum=0),
        Column("author_id", "bigint", "The author who is not to be shown to them.", minimum=0),
    ),
    key=("user_id", "author_id"),
    fresh_for_hours=72,
    min_rows=0,
)
