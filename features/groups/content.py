"""What the video is, whoever watches it."""

from features.group import Fact, FactGroup

UPLOAD_TYPE_CODES = 997

GROUP = FactGroup(
    name="content",
    doc=__doc__,
    owner="feed-ranking",
    features=(
        Fact("duration", "duration_ms / 1000D", "Length of the video.", "s"),
        Fact("tags", "size(tags)", "Tags that the video has."),
        Fact("has_music", "cast(music_id is not null as int)", "1 where the video uses a sound of the app's library."),
        Fact(
            "upload_type",
            f"pmod(crc32(upload_type), {UPLOAD_TYPE_CODES})",
            f"How it was made or imported: the type's CRC-32 modulo {UPLOAD_TYPE_CODES}.",
            categorical=True,
        ),
    ),
    max_age_hours=72,
)
