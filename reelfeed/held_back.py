"""Which rule kept a ranked video out of a user's feed: the recipe's rules on that user's list again, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.rule import Lists, after_each
from models.slate import Plan, listed

if TYPE_CHECKING:
    import pyarrow


def held_back(batch: pyarrow.RecordBatch, plan: Plan, video_id: int) -> list[str]:
    """Returns how a candidate moved through the rules of `plan`, as lines.

    `batch`, as models.slate takes it, has one row: that of a user who has no slot for the video.
    """
    lists, columns = listed(batch, plan)

    def place(now: Lists) -> int | None:
        there = (columns["video_id"][now.rows] == video_id).nonzero()[0]
        return int(there[0]) + 1 if len(there) else None

    last = place(lists)
    lines = [f"  by value alone it is number {last} of the user's list"]
    for (rule, _), now in zip(plan.steps, after_each(plan.steps, lists, columns, plan.length), strict=True):
        before, last = last, place(now)
        if last is None:
            is_blocked = rule.name == "integrity" and columns["is_blocked"][columns["video_id"] == video_id].any()
            return [*lines, f"  the rule {rule.name} took it out" + (": of a blocked author" if is_blocked else "")]
        if last != before:
            lines.append(f"  the rule {rule.name} brought it to number {last}")
    if last is not None and last <= plan.length:
        return [*lines, f"  exploration gave its slot, {last}, to a video that was drawn"]
    return [*lines, f"  the feed ends at slot {plan.length}"]
