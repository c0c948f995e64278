"""How much each place of a session is looked at, beside the first: learnt from the random slots of the train part."""

from core.table import Column, Table

TABLE = Table(
    name="examinations",
    doc=__doc__,
    owner="feed-ranking",
    columns=(
        Column("place", "int", "First place that the row is about; it holds until the next row's.", minimum=1),
        Column("examination", "double", "Long views here for one at the first place, of the same user.", minimum=0.0),
        Column("low", "double", "Lower end of its 95 % interval, by bootstrap over users.", minimum=0.0),
        Column("high", "double", "Upper end.", minimum=0.0),
        Column("slots", "bigint", "Random slots that all rows of the day are learnt from.", minimum=1),
    ),
    key=("place",),
    fresh_for_hours=84,
    min_rows=0,
)
