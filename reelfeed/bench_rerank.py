"""`make bench`, the re-ranking's part: 150 candidates to 50 by MMR over 64 dimensions and caps, beside a pandas loop.

Each figure is taken in a process of its own, run as `python -m reelfeed.bench_rerank HOW …`, which prints what it found
as JSON. What is timed begins warm: a small part of the same work has been done before.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.recipe import RuleUse
from core.settings import load_settings
from reelfeed.bench import measure

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from models.slate import Plan

SEED = 20260101
VIDEOS, AUTHORS, TAGS, DIMENSIONS = 20_000, 4_000, 40, 64
CANDIDATES, LENGTH, SEEN, POPULAR = 150, 50, 200, 300
EXPLORED, UNLIKENESS = 2, 30
CAPS = {"topic_spread": (4, 10), "author_cap": (2, 10)}
"""`most` in `within` slots; the first named is kept longest."""
RULES = (
    RuleUse("seen", {}),
    RuleUse("integrity", {}),
    RuleUse("mmr", {"unlikeness": UNLIKENESS}),
    *(RuleUse(name, {"most": most, "within": within}) for name, (most, within) in CAPS.items()),
)
CORES, FILES = 2, 8
HEAP = "1g"


@dataclass(frozen=True)
class Size:
    """Users whose candidates are re-ranked, and those that the slow peer serves."""

    users: int = 80_000
    peer: int = 1_600


def bench_rerank(runs: int, size: Size | None = None) -> str:
    """Measures everything `runs` times in a folder of its own, and returns the medians as Markdown."""
    size = size or Size()
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "users", size.users)
        write(folder / "peer", size.peer)
        for _ in range(runs):
            measure(found, __name__, "ours", "slates", folder / "users")
            measure(found, __name__, "peer", "pandas", folder / "peer")
    return table({key: statistics.median(values) for key, values in found.items()}, size)


def write(folder: Path, users: int) -> None:
    """Writes `users` rows of user_id, seen, blocked, candidates, as models/slate.py takes them, into FILES files."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    draw = np.random.default_rng(SEED)
    folder.mkdir()
    for part, ids in enumerate(np.array_split(np.arange(users), FILES)):
        video = np.argpartition(draw.random((len(ids), VIDEOS // 8), np.float32), CANDIDATES)[:, :CANDIDATES] * 8 + part
        flat = video.ravel()
        columns = {"video_id": flat, "value": draw.normal(size=flat.size), "author_id": flat % AUTHORS}
        columns |= {"tag_id": flat // 8 % TAGS, "is_showable": np.ones(flat.size, bool), "fresh_rank": 0 * flat}
        candidates = pa.StructArray.from_arrays([pa.array(values) for values in columns.values()], list(columns))
        seen = np.sort(draw.integers(0, VIDEOS, (len(ids), SEEN)) // 8 * 8 + (part + 1) % 8, axis=1)
        none = pa.ListArray.from_arrays(np.zeros(len(ids) + 1, np.int32), pa.array([], pa.int64()))
        made = {"user_id": pa.array(ids), "seen": _lists(pa.array(seen.ravel()), SEEN), "blocked": none}
        parquet.write_table(pa.table(made | {"candidates": _lists(candidates, CANDIDATES)}), folder / f"{part}.parquet")


def _lists(values: pa.Array, width: int) -> pa.ListArray:
    import numpy as np
    import pyarrow as pa

    return pa.ListArray.from_arrays(np.arange(0, len(values) + 1, width, dtype=np.int32), values)


def plan(exploration_slots: int = EXPLORED) -> Plan:
    """Returns the plan that is timed."""
    import numpy as np

    from models.exploration import Exploration
    from models.rule import chosen
    from models.slate import Plan

    draw = np.random.default_rng(SEED)
    vectors = draw.standard_normal((VIDEOS + 1, DIMENSIONS), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[-1] = 0
    popular = draw.permutation(VIDEOS)[:POPULAR]
    about = {"video_id": popular, "author_id": popular % AUTHORS, "tag_id": popular // 8 % TAGS}
    about |= {"is_showable": np.ones(POPULAR, bool), "fresh_rank": np.zeros(POPULAR, np.int64)}
    exploration = Exploration(exploration_slots, "0a", date(2026, 1, 1))
    return Plan(chosen(RULES, __name__), LENGTH, exploration, about, (np.arange(VIDEOS), vectors))


def by_pandas(frame: pd.DataFrame, vectors: NDArray[np.float32]) -> pd.DataFrame:
    """Returns one user's slate, user_id, slot and video_id, of the rows of `frame`: the peer, a loop over a frame."""
    import numpy as np

    frame = frame.sort_values(["value", "video_id"], ascending=[False, True]).reset_index(drop=True)
    relevance = (frame["value"] - frame["value"].min()) / (frame["value"].max() - frame["value"].min())
    of_each = vectors[frame["video_id"].to_numpy()]
    likest, is_left, chosen = np.zeros(len(frame)), np.ones(len(frame), bool), list[int]()
    for turn in range(min(LENGTH, len(frame))):
        score = relevance - UNLIKENESS / 100 * likest
        pick = int(score[is_left].idxmax())
        chosen.append(pick)
        is_left[pick] = False
        cosine = of_each @ of_each[pick]
        likest = np.maximum(likest, cosine) if turn else cosine
    waiting = [*chosen, *frame.index[is_left].tolist()]
    kinds = {"topic_spread": frame["tag_id"].tolist(), "author_cap": frame["author_id"].tolist()}
    placed: list[int] = []
    while len(placed) < LENGTH and waiting:
        best, best_kept = 0, -1
        for place, row in enumerate(waiting):
            kept = _caps_kept(kinds, placed, row)
            if kept > best_kept:
                best, best_kept = place, kept
            if kept == len(CAPS):
                break
        placed.append(waiting.pop(best))
    made = frame.loc[placed, ["user_id", "video_id"]]
    return made.assign(slot=np.arange(1, len(placed) + 1, dtype=np.int32))[["user_id", "slot", "video_id"]]


def _caps_kept(kinds: dict[str, list[int]], placed: list[int], row: int) -> int:
    """Returns how many caps, from the first on, `row` keeps in the next slot."""
    for number, (name, (most, within)) in enumerate(CAPS.items()):
        of_rows = kinds[name]
        if sum(of_rows[other] == of_rows[row] for other in placed[-(within - 1) :]) >= most:
            return number
    return len(CAPS)


def spark(folder: Path, how: str) -> dict[str, float]:
    """Returns the seconds of re-ranking the users of `folder`: how is slates, models/slate.py, or pandas, the peer."""
    from core.spark import session

    settings = load_settings("local")
    running = session(replace(settings, spark=replace(settings.spark, driver_memory=HEAP)), "bench")
    rerank = {"slates": _by_slates, "pandas": _by_pandas}[how]
    some = running.read.parquet(str(folder / "0.parquet")).limit(64).repartition(CORES).cache()
    rerank(some).write.mode("overwrite").format("noop").save()
    began = time.monotonic()
    rerank(running.read.parquet(str(folder))).write.mode("overwrite").format("noop").save()
    return {"s": time.monotonic() - began}


def _by_slates(users: DataFrame) -> DataFrame:
    from models.slate import SLATE_DDL, slates

    timed = plan()

    def fill(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from slates(batch, timed)

    return users.mapInArrow(fill, SLATE_DDL)


def _by_pandas(users: DataFrame) -> DataFrame:
    timed = plan().vectors
    assert timed is not None
    vectors = timed[1]

    def rerank(frame: Any) -> Any:
        return by_pandas(frame, vectors)

    rows = users.selectExpr("user_id", "inline(candidates)")
    return rows.groupBy("user_id").applyInPandas(rerank, "user_id bigint, slot int, video_id bigint")


def table(medians: dict[str, float], size: Size) -> str:
    """Returns the medians as Markdown: users per second and core, and their ratio beside what is asked of it."""
    ours, peer = size.users / medians["ours s"] / CORES, size.peer / medians["peer s"] / CORES
    return "\n".join(
        [
            f"| {CANDIDATES} candidates to {LENGTH}, in Spark | users | s | users per s and core |",
            "|---|---|---|---|",
            f"| a pandas loop per user, `applyInPandas` | {size.peer:,} | {medians['peer s']:.1f} | {peer:,.0f} |",
            f"| models/slate.py | {size.users:,} | {medians['ours s']:.1f} | {ours:,.0f} |",
            "",
            "| | × | asked |",
            "|---|---|---|",
            f"| models/slate.py ÷ the pandas loop, per core | {ours / peer:.1f} | at least 20 |",
            "",
            f"Peak memory of driver and workers for {size.users:,} users: {medians['ours peak'] / 2**20:.0f} MiB.",
        ]
    )


if __name__ == "__main__":
    print(json.dumps(spark(Path(sys.argv[2]), sys.argv[1])))
