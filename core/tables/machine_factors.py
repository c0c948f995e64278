"""What the factorisation machine had learned by the end of `ds`: a bias and a vector of each user, video and surface.

Log odds of a long view of a user's showing on a surface: Σ bias + ½ (|Σ vector|² − Σ square), over its three rows
(Rendle 2010). A video's row holds the sums over itself, its author, its tag and its bucket of length.
"""

from core.table import Column, Table

RANK = 4
"""Elements of a vector: 2, 4 and 8 were level on KuaiRand's validation days (docs/ablation.md)."""

PARTS = ("user", "video", "surface")

VALUES = {"bias": "bias", "square": "square"} | {str(element): f"vector[{element}]" for element in range(RANK)}
"""By name, the SQL of each number of a row."""


def beside(part: str, name: str) -> str:
    """Returns the column that holds number `name` of `part` where it stands beside an impression."""
    return f"machine_{part}_{name}"


TABLE = Table(
    name="machine_factors",
    doc=__doc__,
    owner="feed-ranking",
    columns=(
        Column("part", "string", "What the row describes; a part that has no row counts as 0.", choices=PARTS),
        Column("entity_id", "bigint", "The user, the video, or the surface as the app numbers it.", minimum=0),
        Column("bias", "double", "Log odds that it adds; a surface's hold the log odds of everything as well."),
        Column("vector", "array<float>", f"{RANK} elements."),
        Column("square", "double", "Sum of the squares of what the vector is the sum of.", minimum=0.0),
    ),
    key=("part", "entity_id"),
    fresh_for_hours=84,
    min_rows=0,
)
