"""Tomorrow's feeds: for every user the videos to show, in order, each with why it is there."""

from core.table import Column, MeanBetween, Table
from core.tables.candidates import SOURCES

TERMS = "array<struct<head:string,prediction:double,weight:double,term:double>>"

TABLE = Table(
    name="feeds",
    doc=__doc__,
    owner="feed-ranking",
    columns=(
        Column("recipe", "string", "The feed's recipe, a file of conf/feeds/."),
        Column("user_id", "bigint", "Whose feed.", minimum=0),
        Column("slot", "int", "Place in the feed, first is 1.", minimum=1),
        Column("video_id", "bigint", "What to show there.", minimum=0),
        Column("value", "double", "Predicted value to the user; sum of the terms, 0 in the popular tier."),
        Column("terms", TERMS, "Per head: calibrated prediction, weight, product; empty in the popular tier."),
        Column(
            "sources",
            SOURCES,
            "Sources that named it, each with its own rank and score.",
        ),
        Column(
            "tier",
            "string",
            "How it was chosen: personal, ranked for the user; degraded, the same with features that were late; "
            "popular, what fills the rest.",
            choices=("personal", "degraded", "popular"),
        ),
        Column(
            "rules",
            "array<string>",
            "Rules that moved or placed it, by name; with ' relaxed' behind it one that it stands against, as nothing "
            "else was left; exploration, if drawn; fallback, if popular; short, if its feed is.",
        ),
        Column("is_exploration", "boolean", "Whether the slot was drawn for exploration and the video for the slot."),
        Column(
            "propensity",
            "double",
            "Probability of this video in this slot, given the candidates: docs/exploration.md.",
            minimum=1e-9,
            maximum=1.0,
        ),
        Column(
            "absent_sources",
            "array<string>",
            "Sources of the recipe that had nothing to learn from, stepped aside or failed (table source_fits).",
        ),
        Column("model", "string", "Content hash of the ranker; empty in the popular tier."),
        Column(
            "features_hash",
            "bigint",
            "Fingerprint of the feature vector that was scored; null in the popular tier.",
            nullable=True,
        ),
        Column(
            "snapshot_version",
            "string",
            "Day and content hash of the features that were scored, as in table scored_candidates; empty in the "
            "popular tier.",
        ),
        Column("recipe_hash", "string", "Hash of the recipe's decisions."),
        Column("valid_from", "string", "When this feed may first be shown, ISO 8601, the app's local time."),
        Column(
            "valid_until",
            "string",
            "When it is to be forgotten, as valid_from. A rollback to it sets another end: table publications.",
        ),
    ),
    key=("recipe", "user_id", "slot"),
    fresh_for_hours=30,
    checks=(MeanBetween("value", -100.0, 1000.0), MeanBetween("is_exploration", 0.0, 0.2)),
    guarded=True,
)
