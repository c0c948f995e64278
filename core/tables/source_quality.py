"""What each candidate source, and their merged lists, had named of the long views of the days after."""

from core.table import Column, Table

TABLE = Table(
    name="source_quality",
    doc=__doc__,
    owner="feed-candidates",
    columns=(
        Column("recipe", "string", "The feed's recipe, a file of conf/feeds/."),
        Column(
            "system",
            "string",
            "A source; round_robin or blend, the merged list; blend_minus_round_robin or blend_minus_best, paired.",
        ),
        Column(
            "cohort",
            "string",
            "Users counted: all; known, with history; new, without.",
            choices=("all", "known", "new"),
        ),
        Column(
            "metric",
            "string",
            "recall@k; ndcg@20; only@100, the share of the truth that no other source's first 100 hold; served, the "
            "share of users with a list; videos and authors, the share of the pool in anyone's first 100; new_videos, "
            "the share of the first 100 that are new; overlap:SOURCE, the share of them in the other's first 100 too.",
        ),
        Column("value", "double", "The figure, in [0, 1]; a difference in [-1, 1].", minimum=-1.0, maximum=1.0),
        Column("low", "double", "Lower end of its 95 % interval; null where none was drawn.", nullable=True),
        Column("high", "double", "Upper end of its 95 % interval; null where none was drawn.", nullable=True),
        Column("users", "bigint", "Users counted.", minimum=0),
    ),
    key=("recipe", "system", "cohort", "metric"),
    fresh_for_hours=60,
)
