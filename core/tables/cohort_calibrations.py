"""Whether the challenger's predictions hold for everyone: predicted over observed on the test days, by cohort."""

from core.table import Column, Table

TABLE = Table(
    name="cohort_calibrations",
    doc=__doc__,
    owner="feed-ranking",
    columns=(
        Column("recipe", "string", "The feed."),
        Column("head", "string", "The head whose predictions are compared."),
        Column("cohort", "string", "Whose impressions: everyone, new user, new video, a span of lengths, a tag."),
        Column("rows", "bigint", "Impressions.", minimum=1),
        Column("predicted", "double", "Sum of the calibrated predictions, in the head's unit.", minimum=0.0),
        Column("observed", "double", "Sum of the labels."),
        Column("ratio", "double", "Predicted over observed: 1 where they agree in total.", minimum=0.0),
        Column("low", "double", "Lower end of its 95 % interval, users being what varies."),
        Column("high", "double", "Upper end of it."),
    ),
    key=("recipe", "head", "cohort"),
    fresh_for_hours=24 * 7,
)
