"""Candidates with what the champion predicts of them and the one number they are ordered by."""

from core.table import Column, Table

TABLE = Table(
    name="scored_candidates",
    doc=__doc__,
    owner="feed-ranking",
    columns=(
        Column("user_id", "bigint", "For whom.", minimum=0),
        Column("video_id", "bigint", "Which video.", minimum=0),
        Column("value", "double", "Sum over heads of prediction times weight: the order of the feed."),
        Column("predictions", "array<double>", "Calibrated prediction per head, in the order of models.heads."),
        Column("features_hash", "bigint", "Fingerprint of the feature vector that was scored."),
        Column("is_degraded", "boolean", "Whether some features were not of this night's snapshots."),
        Column("model", "string", "Content hash of the ranker."),
        Column(
            "snapshot_version",
            "string",
            "Day and content hash of the features: the same while every table that they were read from holds the same.",
        ),
        Column(
            "weights",
            "array<double>",
            "The user's weight per head, in the order of predictions; null where the recipe varies none: the recipe's.",
            nullable=True,
        ),
    ),
    key=("user_id", "video_id"),
    fresh_for_hours=36,
)
