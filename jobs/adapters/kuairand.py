"""KuaiRand in its official layout (Pure, 1K, 27K): real impressions of the Kuaishou app, with a random-exposure log.

Gao et al., "KuaiRand: An Unbiased Sequential Recommendation Dataset with Randomly Exposed Videos", CIKM 2022;
columns as its README at github.com/chongminggao/KuaiRand gives them. One row of a log is one impression, one row of
the feature files one user or one video.

* The file video_features_statistic is never read: it averages the whole month, test days included, so that
  anything ranked with it knows the future.
* `ds` is the column `date`, the day under which the app logged the row. It can be an hour ahead of `time_ms`, which
  alone tells when the video was shown. A row without a readable `date` comes with the first day there is.
* The user file holds one state, that of the release. Account age and follow counts are given unchanged for every day,
  although strictly they are known only at its end.
* There is no follow graph, and nobody is said to have blocked an author: `follows` and `blocked_authors` are empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import MissingDataError, UsageError
from core.lake import spark_schema
from core.tables.blocked_authors import TABLE as BLOCKED_AUTHORS
from core.tables.follows import TABLE as FOLLOWS
from core.tables.users import TABLE as USERS
from core.tables.videos import TABLE as VIDEOS
from jobs.adapters._csv import BROKEN, Kind, check_headers, check_values, distinct, read_text
from jobs.adapters._logs import RAW_IMPRESSIONS, Adapter, Logs, replayed

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

RANDOM_POOL_VIDEOS = 7_583
"""Videos that the random policy drew from, uniformly: the README's count for KuaiRand-Pure and KuaiRand-27K."""

TIME_ZONE = "Asia/Shanghai"
LAST_TIME_MS = 253_402_300_799_999
"""The end of year 9999, past which a number of milliseconds is no time."""

UNKNOWN_CODES = ("UNKNOWN", "-124")
"""How the release writes an unknown value, besides leaving it blank."""

LOG_HEADER = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
    "play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab"
)
USER_HEADER = (
    "user_id,user_active_degree,is_lowactive_period,is_live_streamer,is_video_author,follow_user_num,"
    "follow_user_num_range,fans_user_num,fans_user_num_range,friend_user_num,friend_user_num_range,register_days,"
    "register_days_range," + ",".join(f"onehot_feat{number}" for number in range(18))
)
VIDEO_HEADER = (
    "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,server_width,server_height,"
    "music_id,music_type,tag"
)
LOG_STEMS = ("log_standard_4_08_to_4_21", "log_standard_4_22_to_5_08", "log_random_4_22_to_5_08")
HEADERS = {**dict.fromkeys(LOG_STEMS, LOG_HEADER), "user_features": USER_HEADER, "video_features_basic": VIDEO_HEADER}
VERSIONS = ("pure", "1k", "27k")
FILE_NAME = re.compile(rf"({'|'.join(HEADERS)})_({'|'.join(VERSIONS)})(_part\d+)?\.csv")

NUMBERS = {
    "user_id": ("user_id", "bigint"),
    "video_id": ("video_id", "bigint"),
    "time_ms": ("time_ms", "bigint"),
    "surface": ("tab", "int"),
    "duration_ms": ("duration_ms", "bigint"),
    "watch_ms": ("play_time_ms", "bigint"),
}
FLAGS = {
    "is_random": "is_rand",
    "is_click": "is_click",
    "is_long_view": "long_view",
    "is_like": "is_like",
    "is_follow": "is_follow",
    "is_comment": "is_comment",
    "is_share": "is_forward",
    "is_profile_visit": "is_profile_enter",
    "is_not_interested": "is_hate",
}
USER_KINDS: Mapping[str, Kind] = {
    "user_id": "a whole number",
    "register_days": "a whole number",
    "follow_user_num": "a whole number",
    "fans_user_num": "a whole number",
}
VIDEO_KINDS: Mapping[str, Kind] = {
    "video_id": "a whole number",
    "author_id": "a whole number",
    "upload_dt": "a date",
    "visible_status": "a number",
    "video_duration": "a number",
    "music_id": "a whole number",
    "tag": "a list of whole numbers",
}


@dataclass(frozen=True)
class Release:
    """The files of one release that are there, in order of name."""

    folder: Path
    logs: tuple[Path, ...]
    users: tuple[Path, ...]
    videos: tuple[Path, ...]


def find_release(logs_dir: str) -> Release:
    """Returns the files of the release at `logs_dir`: its folder, its data/ folder, or the folder around it.

    Raises MissingDataError that names every absent file, UsageError where more than one release is there, and
    ContractError for files with other columns than the official ones.
    """
    folder = _folder(Path(logs_dir))
    files: dict[tuple[str, str], list[Path]] = {}
    for path in sorted(folder.iterdir()):
        match = FILE_NAME.fullmatch(path.name)
        if match:
            files.setdefault((match.group(1), match.group(2)), []).append(path)
    versions = sorted({version for _, version in files})
    if len(versions) > 1:
        raise UsageError(
            "files of more than one KuaiRand release in one folder",
            where=str(folder),
            choices=versions,
            next_step="keep each release in a folder of its own",
        )
    version = versions[0] if versions else f"{{{','.join(VERSIONS)}}}"
    logs = [path for stem in LOG_STEMS for path in files.get((stem, version), [])]
    users, videos = files.get(("user_features", version), []), files.get(("video_features_basic", version), [])
    needed = {"log_*": logs, "user_features": users, "video_features_basic": videos}
    absent = [f"{stem}_{version}.csv" for stem, found in needed.items() if not found]
    if absent:
        raise MissingDataError(
            f"KuaiRand files are missing: {', '.join(absent)}",
            where=str(folder),
            next_step="point LOGS_DIR at the unpacked release, the folder that holds data/",
        )
    check_headers({path: HEADERS[stem].split(",") for (stem, _), paths in files.items() for path in paths})
    return Release(folder, tuple(logs), tuple(users), tuple(videos))


def _folder(given: Path) -> Path:
    if not given.is_dir():
        raise MissingDataError("the logs folder is missing", where=str(given), next_step="set LOGS_DIR to the release")
    releases = sorted(path for path in given.glob("KuaiRand-*") if path.is_dir())
    if len(releases) > 1:
        raise UsageError(
            "more than one KuaiRand release here",
            where=str(given),
            choices=[path.name for path in releases],
            next_step="point LOGS_DIR at one of them",
        )
    around = releases[0] if releases else given
    return around / "data" if (around / "data").is_dir() else around


def days(logs_dir: str) -> list[date]:
    """Returns the distinct days of the log files, in order; raises as `find_release`, and for logs without rows."""
    return sorted(set(_days_by_text(find_release(logs_dir)).values()))


def _days_by_text(release: Release) -> dict[str, date]:
    """Returns the day that each readable text of the column `date` means."""
    found = {text: day for path in release.logs for text, day in _days_in_file(path).items()}
    if not found:
        raise MissingDataError("the KuaiRand logs have no rows with a date", where=str(release.folder))
    return found


def _days_in_file(path: Path) -> Mapping[str, date]:
    stat = path.stat()
    return _days_in(path, stat.st_size, stat.st_mtime_ns)


@cache
def _days_in(path: Path, size: int, modified_ns: int) -> Mapping[str, date]:
    """Scans a file once per process: those of KuaiRand-27K have gigabytes. Size and time serve as the key only."""
    readable = (text for text in distinct(path, "date") if re.fullmatch(r"\d{8}", text))
    return {text: day for text in readable if (day := _day(text)) is not None}


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def read(spark: SparkSession, logs_dir: str, days: Sequence[date]) -> Logs:
    """Returns the logs of `days`, and the users and videos known on each of them.

    Raises as `find_release`; MissingDataError for a day without rows; ContractError for a text in a number of the
    user or video files. In the logs such a text becomes null and a fault of the row.
    """
    release = find_release(logs_dir)
    texts = _days_by_text(release)
    there = sorted(set(texts.values()))
    absent = [str(day) for day in days if day not in there]
    if absent:
        raise MissingDataError(
            f"the KuaiRand logs have no rows for {', '.join(absent)}",
            where=str(release.folder),
            choices=[f"days from {there[0]} to {there[-1]}"],
            next_step="choose a day that the logs have",
        )
    for paths, kinds in ((release.users, USER_KINDS), (release.videos, VIDEO_KINDS)):
        for path in paths:
            check_values(path, kinds, UNKNOWN_CODES)
    return Logs(
        impressions=_impressions(spark, release, texts, days),
        users=_users(read_text(spark, release.users), days),
        videos=_videos(read_text(spark, release.videos), days),
        follows=spark.createDataFrame([], spark_schema(FOLLOWS)),
        blocked_authors=spark.createDataFrame([], spark_schema(BLOCKED_AUTHORS)),
    )


def _impressions(spark: SparkSession, release: Release, texts: Mapping[str, date], days: Sequence[date]) -> DataFrame:
    from pyspark.sql import functions as F

    first = min(texts.values())
    # Any file may have rows without a readable date, and those come with the first day.
    files = [path for path in release.logs if first in days or set(days) & set(_days_in_file(path).values())]
    day_of_text = F.create_map(*[F.lit(part) for pair in sorted(texts.items()) for part in pair])
    ds = F.try_element_at(day_of_text, F.col("date"))
    rows = read_text(spark, files).withColumn("ds", F.coalesce(ds, F.lit(first))).where(F.col("ds").isin(*days))

    values = {name: f"try_cast(nullif(`{raw}`, '') as {kind})" for name, (raw, kind) in NUMBERS.items()}
    values["time_ms"] = f"case when {values['time_ms']} between 0 and {LAST_TIME_MS} then {values['time_ms']} end"
    values |= {name: f"case `{raw}` when '1' then true when '0' then false end" for name, raw in FLAGS.items()}
    raws = {name: raw for name, (raw, _) in NUMBERS.items()} | FLAGS
    faults = [F.when(ds.isNull(), "ds_not_a_number"), F.when(F.col(BROKEN).isNotNull(), "row_not_of_the_log_columns")]
    for name, raw in raws.items():
        ours = "shown_at" if name == "time_ms" else name
        faults.append(
            F.expr(
                f"case when {values[name]} is null and nullif(`{raw}`, '') is not null then '{ours}_not_a_number' end"
            )
        )
    parsed = rows.select(
        "ds",
        *[F.expr(value).alias(name) for name, value in values.items()],
        F.array_compact(F.array(*faults)).alias("faults"),
    )
    shown_at = F.timestamp_millis("time_ms")
    local = F.from_utc_timestamp(shown_at, TIME_ZONE)
    derived = {
        "shown_at": shown_at,
        "shown_on": F.to_date(local),
        "shown_hour": F.hour(local),
        "position": F.lit(None).cast("int"),
        "propensity": F.when(F.col("is_random"), 1.0 / RANDOM_POOL_VIDEOS),
        "duration_ms": F.nullif("duration_ms", F.lit(0)),
    }
    return parsed.withColumns(derived).select(*[column.name for column in RAW_IMPRESSIONS])


def _users(rows: DataFrame, days: Iterable[date]) -> DataFrame:
    from pyspark.sql import functions as F

    return rows.select(
        _known("user_id").cast("bigint").alias("user_id"),
        _not_negative(_known("register_days").cast("int")).alias("account_age_days"),
        F.lower(F.coalesce(_known("user_active_degree"), F.lit("unknown"))).alias("activity"),
        _not_negative(_known("follow_user_num").cast("bigint")).alias("following_count"),
        _not_negative(_known("fans_user_num").cast("bigint")).alias("follower_count"),
        _each(days),
    ).select(*USERS.column_names)


def _videos(rows: DataFrame, days: Iterable[date]) -> DataFrame:
    """Returns each video once for every one of `days` that is not before its upload."""
    from pyspark.sql import functions as F

    tags = F.filter(F.split(_known("tag"), ",").cast("array<int>"), lambda tag: tag >= 0)
    duration_ms = F.round(_known("video_duration").cast("double")).try_cast("bigint")
    return (
        rows.select(
            _known("video_id").cast("bigint").alias("video_id"),
            _known("author_id").cast("bigint").alias("author_id"),
            F.coalesce(tags, F.array().cast("array<int>")).alias("tags"),
            F.when(duration_ms > 0, duration_ms).alias("duration_ms"),
            _known("upload_dt").cast("date").alias("uploaded_on"),
            F.coalesce(_known("upload_type"), F.lit("unknown")).alias("upload_type"),
            _known("music_id").cast("bigint").alias("music_id"),
            (F.coalesce(_known("visible_status").cast("double"), F.lit(0.0)) == 0).alias("is_visible"),
            F.coalesce(F.col("video_type") == "AD", F.lit(False)).alias("is_advert"),
            _each(days),
        )
        .where("uploaded_on is null or uploaded_on <= ds")
        .withColumn("tag_id", F.get("tags", F.lit(0)))
        .select(*VIDEOS.column_names)
    )


def _known(name: str) -> Column:
    """The text of a field, null where it is blank or says that the value is unknown."""
    from pyspark.sql import functions as F

    return F.when(~F.col(name).isin("", *UNKNOWN_CODES), F.col(name))


def _not_negative(count: Column) -> Column:
    from pyspark.sql import functions as F

    return F.when(count >= 0, count)


def _each(days: Iterable[date]) -> Column:
    """Repeats the row once for each of `days`, as `ds`."""
    from pyspark.sql import functions as F

    return F.explode(F.array(*[F.lit(day) for day in days])).alias("ds")


ADAPTER = Adapter(name="kuairand", doc=__doc__ or "", days=days, read=read, read_until=replayed(read))
