"""The re-ranking's benchmark compares like with like: both ways give the same slates."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.dataset as ds

from models.slate import slates
from reelfeed.bench_rerank import CANDIDATES, LENGTH, by_pandas, plan, write

USERS = 16


def test_the_peer_gives_the_slates_that_are_timed(tmp_path: Path) -> None:
    write(tmp_path / "users", USERS)
    timed = plan(exploration_slots=0)
    assert timed.vectors is not None
    (batch,) = ds.dataset(tmp_path / "users").to_table().combine_chunks().to_batches()
    ours = pd.concat([out.to_pandas() for out in slates(batch, timed)])
    assert len(ours) == USERS * LENGTH
    structs = batch.column("candidates").flatten()
    columns = {name: structs.field(name).to_numpy() for name in ("video_id", "value", "author_id", "tag_id")}
    rows = pd.DataFrame({"user_id": batch.column("user_id").to_numpy().repeat(CANDIDATES), **columns})
    for user, of_user in rows.groupby("user_id"):
        theirs = by_pandas(of_user, timed.vectors[1])
        assert theirs["video_id"].tolist() == ours[ours["user_id"] == user]["video_id"].tolist()
