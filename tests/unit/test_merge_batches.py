"""Users are merged a few at a time, which bounds memory: what one gets hangs on no one else."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from models.merge import Merging, gathered, merge_batch

USERS, AT_ONCE, NAMED, POOL = 30, 7, 8, 20


def test_users_merged_a_few_at_a_time_get_the_lists_of_all_at_once() -> None:
    draw = np.random.default_rng(5)
    tables = []
    for _ in ("als", "fresh"):
        asked = draw.permutation(USERS)[: USERS - 4]
        videos = [draw.permutation(POOL)[: draw.integers(1, NAMED + 1)].tolist() for _ in asked]
        scores = [sorted(draw.random(len(each)).tolist(), reverse=True) for each in videos]
        tables.append(pa.table({"user_id": asked, "videos": videos, "scores": scores}))
    batch, how = gathered(tables), Merging(10, kept={"fresh": 2})
    parts = [merge_batch(batch.slice(start, AT_ONCE), ["als", "fresh"], how) for start in range(0, len(batch), AT_ONCE)]
    whole = pa.Table.from_batches([merge_batch(batch, ["als", "fresh"], how)])
    assert pa.Table.from_batches(parts).to_pylist() == whole.to_pylist()
    assert whole.num_rows > NAMED * USERS / 2
