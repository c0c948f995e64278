"""What is added up of impressions, and the rates made of it: the words that all groups share."""

from features.group import Measure, Rate, Value, count, count_if

SKIP_MS = 3_000
WATCHED_UNITS = 1000

SHOWINGS = count("showings", "Impressions.")
LONG_VIEWS = count_if("long_views", "is_long_view", "Long views.")
CLICKS = count_if("clicks", "is_click", "Clicks.")
LIKES = count_if("likes", "is_like", "Likes.")
NOT_INTERESTED = count_if("not_interested", "is_not_interested", "Not-interested signals.")
SKIPS = count_if(
    "skips", f"watch_ms < {SKIP_MS} and not is_long_view", "Left within 3 s, short videos seen whole aside."
)

# `least` passes over nulls: without the `if` an unknown length would count as watched to the end.
SHARE = f"if(duration_ms is null, 0, cast(least(try_divide(watch_ms, duration_ms), 1) * {WATCHED_UNITS} as bigint))"
WATCHED = Measure("watched_units", SHARE, "Share of the video watched, at most 1 per impression, in thousandths.")
WATCHED_SQUARES = Measure(
    "watched_squares", f"{SHARE} * {SHARE} div {WATCHED_UNITS}", "The same share squared, in thousandths."
)
TIMED = Measure(
    "timed_units",
    f"if(duration_ms is null, 0, {WATCHED_UNITS})",
    "Impressions of videos of known length, in thousandths.",
)

SHOWN = Value("showings", SHOWINGS, "Impressions, ln(1 + n).")
LONG_VIEW_RATE = Rate("long_view_rate", LONG_VIEWS, SHOWINGS, base=0.3, doc="Long views per impression, shrunk.")
CLICK_RATE = Rate("click_rate", CLICKS, SHOWINGS, base=0.4, doc="Clicks per impression, shrunk.")
LIKE_RATE = Rate("like_rate", LIKES, SHOWINGS, base=0.02, doc="Likes per impression, shrunk.")
SKIP_RATE = Rate("skip_rate", SKIPS, SHOWINGS, base=0.3, doc="Impressions left within 3 s, shrunk.")
NOT_INTERESTED_RATE = Rate(
    "not_interested_rate", NOT_INTERESTED, SHOWINGS, base=0.002, doc="Not-interested signals per impression, shrunk."
)
WATCHED_SHARE = Rate(
    "watched_share",
    WATCHED,
    TIMED,
    squares=WATCHED_SQUARES,
    scale=WATCHED_UNITS,
    base=0.4,
    doc="Mean share of the video watched, at most 1 per impression, shrunk.",
)

RECEPTION = (SHOWN, LONG_VIEW_RATE, CLICK_RATE, LIKE_RATE, SKIP_RATE, NOT_INTERESTED_RATE, WATCHED_SHARE)
"""How impressions were received: what every parent of another group keeps."""

AFFINITY = (SHOWN, LONG_VIEW_RATE, LIKE_RATE, SKIP_RATE, WATCHED_SHARE)
"""The same, of pairs that meet too seldom for the rarest signals."""
