"""Whether the challenger orders anyone's videos worse than the champion: its GAUC minus the champion's, by cohort."""

from core.table import Column, Table

TABLE = Table(
    name="cohort_differences",
    doc=__doc__,
    owner="feed-ranking",
    columns=(
        Column("recipe", "string", "The feed."),
        Column("cohort", "string", "Whose impressions: everyone, new user, new video, a span of lengths, a tag."),
        Column("rows", "bigint", "Impressions.", minimum=1),
        Column("users", "bigint", "Users with a watched and an unwatched video, one of the cohort.", minimum=1),
        Column("value", "double", "GAUC of long views, challenger minus champion.", minimum=-1.0, maximum=1.0),
        Column("low", "double", "Lower end of its 95 % interval, which all cohorts of a night keep together."),
        Column("high", "double", "Upper end of it."),
    ),
    key=("recipe", "cohort"),
    fresh_for_hours=24 * 7,
    min_rows=0,
)
