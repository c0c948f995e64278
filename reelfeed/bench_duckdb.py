"""The peer of reelfeed/bench_features.py: the same sums, and the same join, in DuckDB. Run as a process of its own."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import duckdb

from features.group import column_name
from reelfeed.bench_features import DAYS, FIRST, GROUPS, lake_of

SHARE = "cast(floor(least(watch_ms / duration_ms, 1) * 1000) as bigint)"
MEASURES = {  # as features/measures.py has them; no length is unknown here
    "showings": "1",
    "long_views": "is_long_view::int",
    "likes": "is_like::int",
    "skips": "(watch_ms < 3000 and not is_long_view)::int",
    "watched_units": SHARE,
    "watched_squares": f"{SHARE} * {SHARE} // 1000",
    "timed_units": "1000",
}


def duck_sums(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Sums of each group at the end of the night after DAYS days, one Parquet file each."""
    day = FIRST + timedelta(days=DAYS)
    files = [str(folder / "logs" / f"ds={day - timedelta(days=i)}" / "*.parquet") for i in range(DAYS)]
    for group in GROUPS:
        sums = ", ".join(
            f"sum(if(shown_on > date '{day}' - {window.days}, {sql}, 0))::bigint as {name}_{window.name}"
            for name, sql in MEASURES.items()
            for window in group.windows
        )
        keys = ", ".join(group.entity)
        target = folder / "duck" / f"{group.name}.parquet"
        target.parent.mkdir(exist_ok=True)
        con.execute(f"copy (select {keys}, {sums} from read_parquet({files!r}) group by {keys}) to '{target}'")


def duck_join(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """The sums of two days beside the impressions asked for, one Parquet file."""
    day = FIRST + timedelta(days=DAYS)
    lake = lake_of(folder, day)
    values, joins = [], []
    for group in GROUPS:
        files = lake.files(group.sums, [day - timedelta(days=1), day])
        names = [column_name(measure.name, window) for measure in group.measures for window in group.windows]
        values.append(f"[{', '.join(f'{group.name}.{name}::float' for name in names)}] as values_{group.name}")
        same = " and ".join(f"{group.name}.{key} = asked.{key}" for key in group.entity)
        joins.append(
            f"left join read_parquet({files!r}, hive_partitioning = true) {group.name} "
            f"on {group.name}.ds = asked.snapshot_ds and {same}"
        )
    source, target = f"read_parquet('{folder / 'asked'}/*.parquet') asked", folder / "duck_joined.parquet"
    con.execute(f"copy (select asked.*, {', '.join(values)} from {source} {' '.join(joins)}) to '{target}'")


if __name__ == "__main__":
    with duckdb.connect(config={"threads": 2, "memory_limit": "8GB"}) as connection:
        {"duck_sums": duck_sums, "duck_join": duck_join}[sys.argv[1]](connection, Path(sys.argv[2]))
