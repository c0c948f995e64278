"""Impressions that were refused at ingest, each with every reason, so that nobody wonders where rows went."""

from core.table import Column, Table

TABLE = Table(
    name="quarantined_impressions",
    doc=__doc__,
    owner="feed-data",
    columns=(
        Column("row", "string", "The refused row as JSON, with the column names of table impressions."),
        Column(
            "reasons",
            "array<string>",
            "Every reason for which it was refused, as COLUMN_missing, COLUMN_out_of_range.",
        ),
        Column("copies", "bigint", "How many such rows came.", minimum=1),
    ),
    key=("row",),
    fresh_for_hours=36,
    min_rows=0,
)
