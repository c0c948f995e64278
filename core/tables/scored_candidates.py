"""Candidates with what the champion predicts of them and the one number they are ordered by."""

from core.table import Column, Table

TERMS = "array<struct<head:string,prediction:double,weight:double,term:double>>"

TABLE = Table(
    name="scored_candidates",
    doc=__doc__,
    owner="feed-ranking",
    columns=(
        Column("user_id", "bigint", "For whom.", minimum=0),
        Column("video_id", "bigint", "Which video.", minimum=0),
        Column("value", "double", "Sum of the terms: what the feed is ordered by."),
        Column("terms", TERMS, "Per head: calibrated prediction, the recipe's weight, and their product."),
        Column(
            "sources",
            "array<struct<source:string,rank:int,score:double>>",
            "Sources that named it, each with its own rank and score.",
        ),
        Column("is_degraded", "boolean", "Whether some features were not of this night's snapshots."),
        Column("model", "string", "Content hash of the ranker."),
    ),
    key=("user_id", "video_id"),
    fresh_for_hours=36,
)
