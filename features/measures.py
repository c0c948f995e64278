"""The sums and rates that every reception group keeps, so that parents have what their children need."""

from features.group import Measure, Rate, Value, count, count_if

WATCHED_SHARE_UNITS = 1000

MEASURES: tuple[Measure, ...] = (
    count("showings", "Impressions."),
    count_if("long_views", "is_long_view", "Long views."),
    count_if("clicks", "is_click", "Clicks."),
    count_if("likes", "is_like", "Likes."),
    count_if("not_interested", "is_not_interested", "Not-interested signals."),
    Measure(
        "watched_units",
        # `least` passes over nulls: without the `if` an unknown length would count as watched to the end.
        "if(duration_ms is null, 0, "
        f"cast(least(try_divide(watch_ms, duration_ms), 1) * {WATCHED_SHARE_UNITS} as bigint))",
        "Share of the video watched, at most 1 per impression, in thousandths.",
    ),
    Measure(
        "timed_units",
        f"if(duration_ms is null, 0, {WATCHED_SHARE_UNITS})",
        "Impressions of videos of known length, in thousandths.",
    ),
)


def reception(prior_strength: float) -> tuple[Value | Rate, ...]:
    """Returns the features of how impressions were received, their rates shrunk by `prior_strength` showings."""
    return (
        Value("showings", "showings", "Impressions, ln(1 + n)."),
        Rate("long_view_rate", "long_views", "showings", prior_strength, 0.3, "Long views per impression, shrunk."),
        Rate("click_rate", "clicks", "showings", prior_strength, 0.4, "Clicks per impression, shrunk."),
        Rate("like_rate", "likes", "showings", prior_strength, 0.02, "Likes per impression, shrunk."),
        Rate(
            "not_interested_rate",
            "not_interested",
            "showings",
            prior_strength,
            0.002,
            "Not-interested signals per impression, shrunk.",
        ),
        Rate(
            "watched_share",
            "watched_units",
            "timed_units",
            prior_strength * WATCHED_SHARE_UNITS,
            0.4,
            "Mean share of the video watched, at most 1 per impression, shrunk.",
        ),
    )
