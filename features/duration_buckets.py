"""Buckets of video length: within one, watch times can be compared."""

from core.table import Column

EDGES_SECONDS = (5, 8, 11, 15, 20, 30, 45, 60, 90, 180)
"""Lower edge of every bucket but the first."""

DURATION_BUCKET = Column(
    "duration_bucket",
    "int",
    "Bucket of the video's length: the number of EDGES_SECONDS that it reaches; null where unknown.",
    nullable=True,
    minimum=0,
)

DURATION_BUCKET_SQL = (
    "if(duration_ms is null, null, "
    + " + ".join(f"if(duration_ms >= {edge * 1000}, 1, 0)" for edge in EDGES_SECONDS)
    + ")"
)
