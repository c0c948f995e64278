"""Feature vectors once more, in DuckDB: written from what the docs say of each feature, sharing no code with features/.

Everything is computed straight from the rows of tables impressions, users, videos and follows: no tiles, no increments.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import pyarrow

from core.lake import Lake
from core.settings import SplitSettings
from core.tables.feature_priors import TABLE as FEATURE_PRIORS
from core.tables.follows import TABLE as FOLLOWS
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.users import TABLE as USERS
from core.tables.videos import TABLE as VIDEOS

Rows = list[dict[str, Any]]

RATES = {  # rate: (top, bottom, an impression's square of top, rate where nothing at all is known)
    "long_view_rate": ("long_views", "showings", "long_views", 0.3),
    "click_rate": ("clicks", "showings", "clicks", 0.4),
    "like_rate": ("likes", "showings", "likes", 0.02),
    "skip_rate": ("skips", "showings", "skips", 0.3),
    "not_interested_rate": ("hates", "showings", "hates", 0.002),
    "watched_share": ("watched", "timed", "watched_squared", 0.4),
}
RECEPTION = tuple(RATES)
AFFINITY = ("long_view_rate", "like_rate", "skip_rate", "watched_share")

WEIGHTS = {
    **{f"{days}d": f"(age < {days})::int" for days in (1, 7, 28)},
    # A day counts half of the one seven days later, in whole 65536ths.
    "decayed": "(age < 28)::int * round(65536 * pow(0.5, age / 7.0)) / 65536",
}


@dataclass(frozen=True)
class About:
    """What a group is about, whose rates its own lean on, in which windows, and how strongly by declaration."""

    entity: tuple[str, ...]
    parent: str
    windows: tuple[str, ...]
    rates: tuple[str, ...]
    declared: float
    where: str = "true"

    @property
    def columns(self) -> list[tuple[str, str]]:
        return [(rate, window) for rate in self.rates for window in self.windows]


ALL, EVERY = "all_reception", ("1d", "7d", "28d", "decayed")
GROUPS = {  # parents before their children
    ALL: About((), "", EVERY, RECEPTION, 100),
    "author_reception": About(("author_id",), ALL, ("7d", "28d"), RECEPTION, 30),
    "duration_reception": About(("bucket",), ALL, ("28d",), RECEPTION, 100),
    "surface_reception": About(("surface",), ALL, ("7d",), RECEPTION, 100),
    "tag_reception": About(("tag_id",), ALL, ("28d",), RECEPTION, 100),
    "user_activity": About(("user_id",), ALL, ("7d", "28d"), RECEPTION, 20),
    "video_reception": About(("video_id",), ALL, EVERY, RECEPTION, 30),
    "follower_reception": About(("video_id",), "video_reception", ("28d",), AFFINITY, 30, "by_follower"),
    "follower_author_reception": About(("author_id",), "author_reception", ("28d",), AFFINITY, 30, "by_follower"),
    "user_author_affinity": About(("user_id", "author_id"), "user_activity", ("28d",), AFFINITY, 10),
    "user_tag_affinity": About(("user_id", "tag_id"), "user_activity", ("28d",), AFFINITY, 10),
}


def opened(lake: Lake, days: Sequence[date]) -> duckdb.DuckDBPyConnection:
    """Returns a connection that holds the facts and the strengths k up to the last of `days`, and the end of each."""
    con = duckdb.connect(config={"threads": 2})
    con.execute("set timezone = 'UTC'")
    con.create_function("crc32", lambda text: zlib.crc32(text.encode()), ["VARCHAR"], "BIGINT")
    for table in (IMPRESSIONS, USERS, VIDEOS, FOLLOWS, FEATURE_PRIORS):
        files = lake.open(table).file_uris()
        columns = ", ".join(table.column_names)
        nothing = ", ".join(f"null::{column.type} {column.name}" for column in table.all_columns)
        source = f"select {columns} from read_parquet({files!r}, hive_partitioning = true) where ds <= '{max(days)}'"
        con.execute(f"create table {table.name} as {source if files else f'select {nothing} where false'}")
    con.execute("create table snapshots as select unnest(?::date[]) as day", [list(days)])
    con.execute("""
        create table seen as
        with lengths as (
            select *, ds as arrived, epoch_us(shown_at) as moment,
                case when duration_ms is not null
                     then len(list_filter([5, 8, 11, 15, 20, 30, 45, 60, 90, 180], lambda e: duration_ms >= e * 1000))
                end as bucket,
                -- the share watched in whole thousandths, rounded down
                case when duration_ms is null then 0 else floor(least(watch_ms / duration_ms, 1) * 1000) end as share
            from impressions)
        select lengths.*, 1 as showings, is_long_view::int as long_views, is_click::int as clicks,
            is_like::int as likes, is_not_interested::int as hates,
            (watch_ms < 3000 and not is_long_view)::int as skips,
            share / 1000 as watched, floor(share * share / 1000) / 1000 as watched_squared,
            (duration_ms is not null)::int as timed,
            edge.user_id is not null as by_follower
        from lengths left join follows edge
            on edge.user_id = lengths.user_id and edge.author_id = lengths.author_id and edge.ds = arrived""")
    for name in GROUPS:
        _sum(con, name)
    return con


def _sum(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Makes table sums_NAME: what had arrived by the end of a day and happened in each window that ends with it."""
    group = GROUPS[name]
    measures = dict.fromkeys(part for rate in group.rates for part in RATES[rate][:3])
    sums = [f"sum({measure} * ({WEIGHTS[w]})) as {measure}_{w}" for measure in measures for w in group.windows]
    keys = ", ".join(("day", *group.entity))
    there = " and ".join(f"{column} is not null" for column in group.entity) or "true"
    con.execute(f"""
        create table sums_{name} as
        with aged as (
            select *, date_diff('day', shown_on, day) as age from seen, snapshots
            where arrived <= day and shown_on between day - 27 and day and {there} and {group.where})
        select {keys}, {", ".join(sums)} from aged where age < {28 if "28d" in group.windows else 7} group by {keys}""")


def shrink(con: duckdb.DuckDBPyConnection) -> None:
    """Makes table rates_NAME of every group with the strengths that were published."""
    for name, group in GROUPS.items():
        shrunk = []
        for rate, window in group.columns:
            top, bottom = (f"sums.{part}_{window}" for part in RATES[rate][:2])
            k = f"k['{name}__{rate}_{window}']"
            shrunk.append(f"({top} + {k} * {_expected(name, rate, window)}) / ({bottom} + {k}) as {rate}_{window}")
        con.execute(f"""
            create table rates_{name} as
            with strengths as (
                select ds as day, map(list(feature), list(strength)) as k from feature_priors group by ds)
            select {", ".join(f"sums.{key}" for key in ("day", *group.entity))},
                {", ".join(f"ln(1 + sums.showings_{window}) as showings_{window}" for window in group.windows)},
                {", ".join(shrunk)}
            from sums_{name} sums join strengths using (day) {_parents(name)}""")


def _parents(name: str) -> str:
    """The join of a group's sums to its parent's rates."""
    parent = GROUPS[name].parent
    return (
        f"left join rates_{parent} above using (day{''.join(f', {c}' for c in GROUPS[parent].entity)})"
        if parent
        else ""
    )


def _expected(name: str, rate: str, window: str) -> str:
    base = RATES[rate][3]
    return f"coalesce(above.{rate}_{window}, {base})" if GROUPS[name].parent else f"{base}"


def strengths(con: duckdb.DuckDBPyConnection, name: str) -> Rows:
    """Returns k of each rate of group `name` and day by Bühlmann and Straub, from the entities of the group."""
    group, found = GROUPS[name], []
    for rate, window in group.columns:
        top, n, squares = (f"sums.{part}_{window}" for part in RATES[rate][:3])
        con.execute(f"""
            with entities as (
                select day, {n} as n, {top} / {n} as r, {squares} as q, {_expected(name, rate, window)} as m
                from sums_{name} sums {_parents(name)} where {n} > 0),
            moments as (
                select day, count(*) filter (n >= 1) as many,
                    sum(q - n * r * r) filter (n > 1) / sum(n - 1) filter (n > 1) as v,
                    sum(n * (r - m) * (r - m)) filter (n >= 1) as spread, sum(n) filter (n >= 1) as weight
                from entities group by day),
            variances as (select *, greatest((spread - many * v) / weight, 0) as tau2 from moments)
            select day, '{name}__{rate}_{window}' as feature, many, v, tau2,
                case when many < 30 or coalesce(v, 0) <= 0 then {group.declared}
                     when tau2 = 0 then 10000 else least(greatest(v / tau2, 0.5), 10000) end as k
            from variances""")
        found += _fetched(con)
    return found


def dated(con: duckdb.DuckDBPyConnection, split: SplitSettings, publish_hour: int) -> None:
    """Makes table dated: every impression that a training set of the last day holds, with its part and snapshot."""
    con.execute(f"""
        create table dated as
        with ends as (
            select max(ds) - {split.test_days - 1} as test, test - {split.validate_days} as validate,
                min(ds) + {split.warm_up_days} as train
            from impressions),
        parts as (
            select seen.*, test, validate, shown_on + to_hours(shown_hour + {split.embargo_hours}) as mature,
                case when shown_on >= test then 'test' when shown_on >= validate then 'validate' else 'train' end
                    as part
            from seen, ends where shown_on >= train)
        select * exclude (mature, test, validate),
            case when part = 'test' then test - 1
                 when shown_hour < {publish_hour} then shown_on - 2 else shown_on - 1 end as snapshot
        from parts
        where part = 'test' or mature < if(part = 'train', validate, test)""")


def vectors(con: duckdb.DuckDBPyConnection, keys: pyarrow.Table) -> Rows:
    """Returns every feature of the impressions `keys` (place, user_id, video_id, shown_at), in order of place."""
    con.register("keys", keys)
    con.execute("create or replace table drawn as select * from keys join dated using (user_id, video_id, shown_at)")
    joins, columns = [], dict[str, str]()
    for name, group in GROUPS.items():
        on = " and ".join(f"{name}.{column} = drawn.{column}" for column in group.entity) or "true"
        joins.append(f"left join rates_{name} {name} on {name}.day = snapshot and {on}")
        if name != ALL:
            columns |= {f"{name}__showings_{w}": f"coalesce({name}.showings_{w}, 0)" for w in group.windows}
        columns |= {f"{name}__{rate}_{window}": _known_rate(name, rate, window) for rate, window in group.columns}
    columns = {name: sql for name, sql in columns.items() if not name.startswith(ALL)} | FACTS
    con.execute(f"""
        with {SESSIONS},
        posts as (select author_id, ds, max(uploaded_on) as posted_on, count(*) as videos from videos group by all),
        fans as (select author_id, ds, count(*) as followers from follows group by all)
        select {", ".join(f'{sql} as "{name}"' for name, sql in columns.items())}
        from drawn
        join sessions using (place)
        left join videos on videos.video_id = drawn.video_id and videos.ds = (select max(ds) from impressions)
        left join users on users.user_id = drawn.user_id and users.ds = snapshot
        left join posts on posts.author_id = drawn.author_id and posts.ds = snapshot
        left join fans on fans.author_id = drawn.author_id and fans.ds = snapshot
        left join follows edge on edge.ds = snapshot
            and edge.user_id = drawn.user_id and edge.author_id = drawn.author_id
        {" ".join(joins)} order by place""")
    return _fetched(con)


def _known_rate(name: str, rate: str, window: str) -> str:
    """A rate of an entity that may be unseen: then its parent's, and so on up to the base."""
    parent = GROUPS[name].parent
    above = _known_rate(parent, rate, window) if parent else str(RATES[rate][3])
    return f"coalesce({name}.{rate}_{window}, {above})"


FACTS = {
    "content__duration": "drawn.duration_ms / 1000",
    "content__tags": "len(videos.tags)",
    "content__has_music": "(videos.music_id is not null)::int",
    "content__upload_type": "crc32(videos.upload_type) % 997",
    "freshness__age": "drawn.shown_on - videos.uploaded_on",
    "freshness__is_new": "(drawn.shown_on - videos.uploaded_on <= 2)::int",
    # ln((1 + n of 1 day) / (1 + n of 7 days)): showings are already ln(1 + n)
    "freshness__velocity": "coalesce(video_reception.showings_1d, 0) - coalesce(video_reception.showings_7d, 0)",
    "freshness__since_author_post": "drawn.shown_on - posts.posted_on",
    "freshness__author_videos": "ln(1 + coalesce(posts.videos, 0))",
    "session__position": "sessions.position",
    "session__pause": "sessions.pause",
    "session__break": "sessions.break",
    "session__same_tag": "same_tag",
    "session__skips": "recent_skips",
    "session__long_views": "recent_long_views",
    "social__follows_author": "(edge.user_id is not null)::int",
    "social__author_followers": "ln(1 + coalesce(fans.followers, 0))",
    "surface__code": "drawn.surface",
    "user_profile__account_age": "users.account_age_days",
    "user_profile__following": "ln(1 + users.following_count)",
    "user_profile__followers": "ln(1 + users.follower_count)",
    "user_profile__activity": "crc32(users.activity) % 997",
}

SESSIONS = """
    moments as (select distinct user_id, moment from seen),
    pauses as (select *, moment - lag(moment) over (partition by user_id order by moment) as since from moments),
    begun as (
        select *, max(case when since is null or since > 30 * 60 * 1000000 then moment end)
            over (partition by user_id order by moment) as began from pauses),
    ranked as (
        select drawn.place, drawn.tag_id as wanted, other.*,
            row_number() over (partition by drawn.place order by other.moment desc, other.video_id desc) as back
        from drawn join begun using (user_id, moment) join seen other
            on other.user_id = drawn.user_id and other.moment >= begun.began and other.moment < drawn.moment),
    earlier as (
        select place, count(*) as rows, count(*) filter (back <= 5 and tag_id = wanted) as same_tag,
            count(*) filter (back <= 5 and skips = 1) as recent_skips,
            count(*) filter (back <= 5 and is_long_view) as recent_long_views
        from ranked group by place),
    sessions as (
        select drawn.place, 1 + coalesce(rows, 0) as position, coalesce(same_tag, 0) as same_tag,
            coalesce(recent_skips, 0) as recent_skips, coalesce(recent_long_views, 0) as recent_long_views,
            case when begun.moment > begun.began then begun.since / 1e6 end as pause, first.since / 1e6 as break
        from drawn join begun using (user_id, moment) join begun first
            on first.user_id = begun.user_id and first.moment = begun.began
        left join earlier on earlier.place = drawn.place)"""


def _fetched(con: duckdb.DuckDBPyConnection) -> Rows:
    names = [column[0] for column in con.description]
    return [dict(zip(names, row, strict=True)) for row in con.fetchall()]
