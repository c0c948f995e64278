"""How new the video is, how fast it is being shown, and when its author last posted."""

from features.group import Fact, FactGroup

NEW_DAYS = 2

GROUP = FactGroup(
    name="freshness",
    doc=__doc__,
    owner="feed-ranking",
    features=(
        Fact(
            "age",
            "datediff(shown_on, uploaded_on)",
            "Days from upload to the showing; of a feed, to the day after its snapshot.",
            "days",
        ),
        Fact(
            "is_new",
            f"cast(datediff(shown_on, uploaded_on) <= {NEW_DAYS} as int)",
            f"1 for {NEW_DAYS} days after the day of upload, else 0.",
        ),
        Fact(
            "velocity",
            "{video_reception__showings_1d} - {video_reception__showings_7d}",
            "Share of the last week's showings that fell on the last day: ln((1 + n of 1 day) / (1 + n of 7 days)).",
            "ln",
        ),
        Fact(
            "since_author_post",
            "datediff(shown_on, author_posted_on)",
            "Days since the author's latest upload that the snapshot knows.",
            "days",
        ),
        Fact("author_videos", "ln(1 + coalesce(author_videos, 0))", "Videos of the author in the pool.", "ln(1 + n)"),
    ),
    max_age_hours=72,
)
