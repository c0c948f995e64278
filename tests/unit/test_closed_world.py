"""A world that was given feeds: users see them from the top, react to them by their own taste, and logs say so."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from core.errors import UsageError
from sim.catalogue import live_on, users_on
from sim.day import impressions_on
from sim.logs import folder, write_days
from sim.loop import give, given
from sim.user import MAIN_SURFACE, expected_long_view
from sim.world import WorldConfig

WORLD = WorldConfig(
    seed=5, users=200, videos=400, authors=40, tags=8, late_share=0.2, duplicate_share=0, broken_share=0
)
DAY = WORLD.first_day + timedelta(days=2)
NEXT = DAY + timedelta(days=1)
LENGTH = 12


def feeds(day: date = DAY, best: bool = True) -> pa.Table:
    """Feeds of the LENGTH live videos that each user truly likes best, or least; the last slot of each explores."""
    live, users = live_on(WORLD, day), users_on(WORLD, day).user_id
    user, video = np.repeat(users, len(live)), np.tile(live, len(users))
    liking = expected_long_view(WORLD, day, user, video).reshape(len(users), -1)
    order = np.argsort(-liking if best else liking, axis=1)[:, :LENGTH]
    slot = np.tile(np.arange(1, LENGTH + 1, dtype=np.int32), len(users))
    explores = slot == LENGTH
    return pa.table(
        {
            "user_id": np.repeat(users, LENGTH),
            "slot": slot,
            "video_id": live[order].ravel(),
            "is_exploration": explores,
            "propensity": pa.array(np.full(len(slot), 0.25), mask=~explores),
        }
    )


def lived(root: Path, rows: pa.Table | None) -> pa.Table:
    """Returns what reaches the logs on DAY and the three days after of what was shown on DAY."""
    if rows is not None:
        give(str(root), DAY, rows)
    days = [DAY + timedelta(days=late) for late in range(4)]
    write_days(WORLD, str(root), days)
    read = [pq.read_table(folder(str(root), day) / "impressions.parquet", partitioning=None) for day in days]
    every = pa.concat_tables(read)
    return every.filter(pc.equal(every["shown_on"], DAY)).sort_by([("user_id", "ascending"), ("shown_at", "ascending")])


def test_users_see_their_feed_from_the_top_and_late_rows_are_of_it_too(tmp_path: Path) -> None:
    rows = feeds()
    shown = lived(tmp_path, rows).to_pylist()
    feed = {
        user: [r["video_id"] for r in rows.to_pylist() if r["user_id"] == user]
        for user in {r["user_id"] for r in shown}
    }
    long = 0
    for user, videos in feed.items():
        seen = [r for r in shown if r["user_id"] == user and r["surface"] == MAIN_SURFACE]
        assert [r["video_id"] for r in seen[:LENGTH]] == videos[: len(seen)]
        assert [r["is_random"] for r in seen[: LENGTH - 1]] == [False] * min(len(seen), LENGTH - 1)
        if len(seen) >= LENGTH:
            long += 1
            assert (seen[LENGTH - 1]["is_random"], seen[LENGTH - 1]["propensity"]) == (True, 0.25)
    assert long > 20


def test_other_surfaces_and_users_without_a_feed_see_the_app_s_own_picks(tmp_path: Path) -> None:
    rows = feeds()
    some = rows.filter(pc.less(rows["user_id"], 100))
    key = ("user_id", "session", "position", "video_id")
    before = {tuple(r[k] for k in key) for r in lived(tmp_path / "open", None).to_pylist()}
    after = lived(tmp_path / "closed", some).to_pylist()
    same = [tuple(r[k] for k in key) in before for r in after]
    fed = [r["user_id"] < 100 and r["surface"] == MAIN_SURFACE for r in after]
    assert all(was for was, on in zip(same, fed, strict=True) if not on)
    assert np.mean([was for was, on in zip(same, fed, strict=True) if on]) < 0.7


def test_better_feeds_are_watched_longer(tmp_path: Path) -> None:
    shares = {}
    for best in (True, False):
        shown = lived(tmp_path / str(best), feeds(best=best))
        main = shown.filter(pc.equal(shown["surface"], MAIN_SURFACE))
        shares[best] = pc.mean(main["is_long_view"]).as_py()
    assert shares[True] > shares[False] + 0.15


def test_withdrawn_videos_are_passed_over(tmp_path: Path) -> None:
    gone = np.setdiff1d(live_on(WORLD, DAY), live_on(WORLD, NEXT))
    assert len(gone), "the world withdraws some every day"
    rows = feeds()
    first = np.where(rows["slot"].to_numpy() == 1, gone[0], rows["video_id"].to_numpy())
    give(str(tmp_path), NEXT, rows.set_column(2, "video_id", pa.array(first)))
    fed = given(str(tmp_path), NEXT)
    assert fed is not None
    assert gone[0] not in impressions_on(WORLD, NEXT, fed).slots.video_id


def test_a_day_is_given_feeds_once_and_before_it_is_lived(tmp_path: Path) -> None:
    rows = feeds()
    lived(tmp_path, rows)
    give(str(tmp_path), DAY, rows)
    with pytest.raises(UsageError, match=f"have lived {DAY} already"):
        give(str(tmp_path), DAY, rows.slice(1))
    assert given(str(tmp_path), NEXT) is None
