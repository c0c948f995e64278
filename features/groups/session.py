"""Where in a session the video is asked for, and what the session has brought so far."""

from features.group import Fact, FactGroup
from features.session import GAP_MINUTES, NEUTRAL, RECENT

DOCS = {
    "session_position": ("Place of the impression in its session, first is 1.", ""),
    "session_pause": ("Since the impression before it in the session; unknown for the first.", "s"),
    "session_break": ("From the session before to this one; unknown for a user's first.", "s"),
    "session_same_tag": (f"Of the last {RECENT} impressions of the session, those of the same tag.", ""),
    "session_skips": (f"Of the last {RECENT} impressions of the session, those left within 3 s.", ""),
    "session_long_views": (f"Of the last {RECENT} impressions of the session, the long views.", ""),
}

GROUP = FactGroup(
    name="session",
    doc=f"{__doc__} A session ends after {GAP_MINUTES} minutes without an impression.",
    owner="feed-ranking",
    features=tuple(
        Fact(column.removeprefix("session_"), column, *DOCS[column], known="request", neutral=neutral)
        for column, neutral in NEUTRAL.items()
    ),
    max_age_hours=36,
)
