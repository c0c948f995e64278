"""Candidates to slates: the recipe's rules on each user's list, filled with popular videos, and slots to explore."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.rule import Columns, Lists, Steps, after_each, lists_of, mark_names

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    from numpy.typing import NDArray

    from models.exploration import Exploration

COLUMNS = ("video_id", "author_id", "tag_id", "is_showable", "fresh_rank")
"""What is told of a candidate, its value aside. `tag_id` is -1 where there is none."""

SLATE_DDL = (
    "user_id bigint, slot int, video_id bigint, tier string, rules array<string>, is_exploration boolean, "
    "propensity double, values array<double>"
)
EXPLORED, FILLED, SHORT = "exploration", "fallback", "short"
"""What `rules` says of rows that no rule of models/rules/ placed, and of all rows of a feed that is too short."""


@dataclass(frozen=True)
class Plan:
    """How slates are made. `popular` holds COLUMNS of the popular videos, best first, none twice.

    `vectors`, None if no rule reads them, are ascending video ids and their vectors, (videos + 1, dimensions), of which
    the last is for any other video.
    """

    steps: Steps
    length: int
    exploration: Exploration
    popular: Columns
    vectors: tuple[NDArray[np.int64], NDArray[np.float32]] | None = None


def slates(batch: pyarrow.RecordBatch, plan: Plan) -> Iterator[pyarrow.RecordBatch]:
    """Yields SLATE_DDL: at most `plan.length` videos for each user of `batch`.

    `batch` has one row per user: user_id, seen and blocked (videos and authors, both ascending), and candidates, an
    array of structs in any order: value and COLUMNS. They are ranked by value, ties by the smaller video_id. Popular
    videos that the user has not seen, that are of no blocked author and no candidates stand behind the candidates, so
    rules treat both alike. Fewer than `plan.length` only where pool and rules leave fewer. `values`, empty but in slot
    1, has the sum of the slate's values (0 for popular videos) before any rule, after each, and after exploration.
    """
    import numpy as np
    import pyarrow as pa

    from models.exploration import explored

    if not batch.num_rows:
        return
    users = batch.column("user_id").to_numpy(zero_copy_only=False)
    lists, columns = listed(batch, plan)
    stages = [lists, *after_each(plan.steps, lists, columns, plan.length)]
    sums, lists = [_sums(stage, columns, plan.length) for stage in stages], stages[-1]
    uniforms = plan.exploration.uniforms(users)
    rows, propensity, is_drawn, places = explored(lists, columns["is_candidate"], plan.length, uniforms)
    lengths = np.minimum(np.diff(lists.bounds), plan.length)
    user = np.repeat(np.arange(len(users)), lengths)
    slot = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + 1
    sums.append(np.bincount(user, columns["value"][rows], len(users)).astype(np.float64))
    is_filled = ~columns["is_candidate"][rows]
    told = mark_names(plan.steps)
    marked = (lists.marks[places][:, None] >> np.arange(len(told), dtype=np.uint64) & np.uint64(1)).astype(bool)
    marked = np.column_stack([marked, is_drawn, is_filled, (lengths < plan.length)[user]])
    made = {
        "user_id": pa.array(users[user]),
        "slot": pa.array(slot.astype(np.int32)),
        "video_id": pa.array(columns["video_id"][rows]),
        "tier": pa.array(np.where(is_filled, "popular", "personal").tolist(), pa.string()),
        "rules": _names(marked, [*told, EXPLORED, FILLED, SHORT]),
        "is_exploration": pa.array(is_drawn),
        "propensity": pa.array(propensity),
        "values": _in_first_slot(np.column_stack(sums)[lengths > 0], slot),
    }
    yield pa.RecordBatch.from_arrays(list(made.values()), names=list(made))


def listed(batch: pyarrow.RecordBatch, plan: Plan) -> tuple[Lists, dict[str, NDArray[Any]]]:
    """Returns each user's candidates in order of value, popular videos behind, and the columns that rules read."""
    import numpy as np

    from models.slate_kernel import popular_behind

    own, bounds = _ranked(batch.column("candidates"))
    unwanted = (*_flat(batch.column("seen")), *_flat(batch.column("blocked")))
    popular = plan.popular["video_id"]
    rows, bounds, is_seen, is_blocked = popular_behind(
        own["video_id"], own["author_id"], bounds, *unwanted, popular, plan.popular["author_id"], 2 * plan.length
    )
    columns = {name: np.concatenate([own[name], plan.popular[name]]) for name in COLUMNS}
    columns["value"] = np.concatenate([own["value"], np.zeros(len(popular))])
    columns["is_candidate"] = np.arange(len(columns["value"])) < len(is_seen)
    for name, told in (("is_seen", is_seen), ("is_blocked", is_blocked)):
        columns[name] = np.concatenate([told, np.zeros(len(popular), bool)])
    if plan.vectors:
        ids, columns["vectors"] = plan.vectors
        place = np.searchsorted(ids, columns["video_id"])
        is_known = np.append(ids, -1)[place] == columns["video_id"]
        columns["vector_at"] = np.where(is_known, place, len(ids))
    return lists_of(rows, bounds), columns


def _sums(lists: Lists, columns: Columns, length: int) -> NDArray[np.float64]:
    """Returns the sum of the values of each user's first `length` rows."""
    import numpy as np

    sizes = np.diff(lists.bounds)
    in_slate = np.arange(len(lists.rows)) - np.repeat(lists.bounds[:-1], sizes) < length
    user = np.repeat(np.arange(len(sizes)), sizes)[in_slate]
    return np.bincount(user, columns["value"][lists.rows[in_slate]], len(sizes)).astype(np.float64)


def _names(marked: NDArray[np.bool_], names: list[str]) -> pyarrow.ListArray:
    """Returns for each row of `marked`, (rows, names), the names that are true."""
    import numpy as np
    import pyarrow as pa

    offsets = np.concatenate([[0], np.cumsum(marked.sum(axis=1))]).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, pa.array(names).take(pa.array(np.nonzero(marked)[1])))


def _in_first_slot(sums: NDArray[np.float64], slot: NDArray[np.int64]) -> pyarrow.ListArray:
    """Returns the next row of `sums` wherever `slot` is 1, and an empty list elsewhere."""
    import numpy as np
    import pyarrow as pa

    offsets = np.concatenate([[0], np.cumsum(slot == 1)]) * sums.shape[1]
    return pa.ListArray.from_arrays(offsets.astype(np.int32), pa.array(sums.ravel()))


def _ranked(lists: pyarrow.ListArray) -> tuple[dict[str, NDArray[Any]], NDArray[np.int64]]:
    """Returns the candidates of all users by column, each user's in order of value, and where each user's begin."""
    import numpy as np

    structs, bounds = _flat(lists)
    user = np.repeat(np.arange(len(lists)), np.diff(bounds))
    columns = {name: structs.field(name).to_numpy(zero_copy_only=False) for name in (*COLUMNS, "value")}
    order = np.lexsort((columns["video_id"], -columns["value"], user))
    return {name: column[order] for name, column in columns.items()}, bounds


def _flat(lists: pyarrow.ListArray) -> tuple[Any, NDArray[np.int64]]:
    """Returns the values of all lists, and where each list begins in them, the end last."""
    import numpy as np
    import pyarrow as pa

    bounds = np.concatenate([[0], np.cumsum(np.asarray(lists.value_lengths()))]).astype(np.int64)
    values = lists.flatten()
    return (values if pa.types.is_struct(values.type) else np.asarray(values)), bounds
