"""A small KuaiRand release in the official layout, every row of it invented."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from jobs.adapters.kuairand import LOG_HEADER, USER_HEADER, VIDEO_HEADER

Row = Mapping[str, object]

STANDARD = "log_standard_4_22_to_5_08"
RANDOM = "log_random_4_22_to_5_08"


def beijing_ms(text: str) -> int:
    """Returns the Unix milliseconds of a Beijing time such as "2022-04-25 18:30"."""
    return int((datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() - 8 * 3600) * 1000)


def impression(user_id: object, video_id: object, day: object = "20220425", **changes: object) -> Row:
    """Returns one log row: shown at 12:00 Beijing time, clicked and long-viewed, nothing else."""
    row: dict[str, object] = dict.fromkeys(LOG_HEADER.split(","), 0)
    text = str(day)
    noon = beijing_ms(f"{text[:4]}-{text[4:6]}-{text[6:]} 12:00") if text.isdigit() else 0
    row |= {"user_id": user_id, "video_id": video_id, "date": day, "hourmin": 1200, "time_ms": noon, "tab": 1}
    row |= {"is_click": 1, "long_view": 1, "play_time_ms": 20_000, "duration_ms": 30_000}
    return row | changes


def user(user_id: object, **changes: object) -> Row:
    """Returns one row of the user file."""
    row: dict[str, object] = dict.fromkeys(USER_HEADER.split(","), 0)
    row |= {"user_id": user_id, "user_active_degree": "full_active", "register_days": 400, "is_live_streamer": -124}
    row |= {
        "follow_user_num": 12,
        "follow_user_num_range": "(10,50]",
        "fans_user_num": 3,
        "fans_user_num_range": "[1,10)",
    }
    return row | changes


def video(video_id: object, **changes: object) -> Row:
    """Returns one row of the video file."""
    row: dict[str, object] = dict.fromkeys(VIDEO_HEADER.split(","), "")
    row |= {"video_id": video_id, "author_id": 900, "video_type": "NORMAL", "upload_dt": "2022-04-10"}
    row |= {"upload_type": "Web", "visible_status": "0.0", "video_duration": "30000.0", "music_id": 77, "tag": "12,65"}
    return row | changes


def write(path: Path, header: str, rows: Iterable[Row]) -> None:
    """Writes one CSV file with the columns of `header`, as the release does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, header.split(","), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def release(
    root: Path,
    logs: Mapping[str, Iterable[Row]],
    users: Iterable[Row] = (),
    videos: Iterable[Row] = (),
    version: str = "pure",
) -> Path:
    """Writes a release below `root` and returns its folder; `logs` maps a stem, _partN included, to its rows."""
    folder = root / f"KuaiRand-{version.title()}"
    for stem, rows in logs.items():
        base, part, number = stem.partition("_part")
        write(folder / "data" / f"{base}_{version}{part}{number}.csv", LOG_HEADER, rows)
    write(folder / "data" / f"user_features_{version}.csv", USER_HEADER, users or [user(1), user(2)])
    write(folder / "data" / f"video_features_basic_{version}.csv", VIDEO_HEADER, videos or [video(10), video(11)])
    return folder
