"""Every ranker trained, one row per recipe and day: the challengers that `promote` decides about."""

from core.table import Column, Table

TABLE = Table(
    name="rankers",
    doc=__doc__,
    owner="feed-ranking",
    columns=(
        Column("recipe", "string", "The feed it ranks for."),
        Column(
            "model", "string", "Twelve hex digits of the model's content: same data, config and seed give the same."
        ),
        Column("version", "int", "Its version in the MLflow model registry.", minimum=1),
        Column("feature_set", "string", "Hash of the feature list it was trained on."),
        Column("train_rows", "bigint", "Training rows.", minimum=1),
        Column("validate_rows", "bigint", "Validation rows.", minimum=1),
    ),
    key=("recipe",),
    fresh_for_hours=24 * 7,
)
