"""Impressions with the features that a feed shown at that moment could have been scored with, and what came of them."""

from core.table import Column, Table

TABLE = Table(
    name="training_examples",
    doc=__doc__,
    owner="feed-ranking",
    columns=(
        Column("user_id", "bigint", "Who was shown the video.", minimum=0),
        Column("video_id", "bigint", "Which video was shown.", minimum=0),
        Column("shown_at", "timestamp", "When, UTC."),
        Column(
            "snapshot_ds", "date", "The feature snapshot joined: the newest that a feed shown then could have used."
        ),
        Column("part", "string", "Part of the time split.", choices=("train", "validate", "test")),
        Column("weight", "float", "Logged impressions that this one stands for: more than 1 where rows were sampled."),
        Column(
            "examined",
            "float",
            "How much its place is looked at beside the first (table examinations); null where that is not known.",
            nullable=True,
            minimum=0.0,
        ),
        Column("features", "array<float>", "Feature values in the order of features.catalog; NaN where unknown."),
        Column("labels", "array<float>", "Labels in the order of models.labels; NaN where one does not apply."),
        Column("popularity", "double", "The video's smoothed long-view rate in that snapshot: the baseline to beat."),
    ),
    key=("user_id", "video_id", "shown_at"),
    fresh_for_hours=36,
)
