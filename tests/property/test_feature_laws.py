"""Laws of snapshots and vectors on any small log: what must not matter does not, and who is unseen is as its parent.

Spark is slow to start on a query and quick to finish it. So each example holds several worlds and variants of them,
laid so far apart in time that no window sees two: strengths are estimated per day, and nothing else is shared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from core.lake import spark_schema
from core.tables.follows import TABLE as FOLLOWS
from core.tables.users import TABLE as USERS
from core.tables.videos import TABLE as VIDEOS
from features.catalog import all_groups, feature_names
from features.group import FeatureGroup, Rate, column_name
from features.point_in_time import Knowledge, vectors
from features.shrinkage import Prior, estimate, expected, sampled, shrunk
from features.tiles import derived, tiles, window_sums

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FIRST = date(2026, 1, 1)
APART = 90
"""Days from the start of one world to that of the next."""

SEEN_ON = 28
"""Day of a world, counted from 0, at whose end its snapshot is looked at."""

USERS_THERE, VIDEOS_THERE, STRANGER = 60, 5, 77
ASKED = range(4)
"""Users whose vectors are looked at."""

SIZES = (1, 2, 4, 8, 16, 32, 200, 400)
"""Most rows of each world; the last two have users enough for strengths to be estimated."""

Row = tuple[int, int, int, int, int, int]
World = list[Row]


def drawn_worlds(seed: int) -> list[World]:
    """Worlds of SIZES: rows on days at the edges of every window, watched for times at those of a skip and a video."""
    draw = np.random.default_rng(seed)

    def row() -> Row:
        user, video, late = draw.integers(USERS_THERE), draw.integers(VIDEOS_THERE), draw.choice([0, 0, 0, 1, 2])
        day = draw.choice([0, 1, 20, 21, 22, 26, 27, 28, 29])
        watch = draw.choice([0, 2_999, 3_000, 9_000, 15_000, 40_000])
        return int(user), int(video), int(day), int(late), int(watch), int(draw.integers(16))

    there = [[row() for _ in range(size - int(draw.integers(size // 4 + 1)))] for size in SIZES]
    # Small worlds have few users, so that these meet a video again.
    return [[(row[0] % (4 if len(world) < 100 else USERS_THERE), *row[1:]) for row in world] for world in there]


worlds = st.integers(0, 2**32 - 1).map(drawn_worlds)
# An example is eight worlds: to look for a smaller one would take longer than to read it.
few = settings(max_examples=2, phases=(Phase.explicit, Phase.reuse, Phase.generate))


def begins(place: int) -> date:
    return FIRST + timedelta(days=place * APART)


def placed(day: date) -> tuple[int, int]:
    """Returns the place of the world that `day` is of, and which of its days it is."""
    return divmod((day - FIRST).days, APART)


def author_of(video: int) -> int:
    return video % 3


def content_of(video: int) -> tuple[int, int | None, int | None]:
    """Author, tag and length: one video has no tag, one is of unknown length."""
    return author_of(video), None if video == 4 else video % 2, None if video == 3 else 15_000


def poisoned(world: World) -> World:
    """Returns `world` with every row that arrives after the snapshot turned into its opposite, and more of them."""
    known = [row for row in world if row[2] + row[3] <= SEEN_ON]
    later = [row for row in world if row[2] + row[3] > SEEN_ON]
    opposite = [(*row[:4], 40_000 if row[4] < 9_000 else 0, 15 - row[5]) for row in later]
    return [*known, *opposite, *opposite]


def with_later_rows(world: World) -> World:
    """Returns `world` with a row of each clock's future: one happened on time and is late, one is yet to happen."""
    return [*world, (1, 1, SEEN_ON, 1, 15_000, 7), (1, 1, SEEN_ON + 1, 0, 0, 8)]


def impressions(there: Sequence[World]) -> list[tuple[Any, ...]]:
    """Returns the impressions of all worlds, in order of places and rows."""
    return [
        (
            *(user, video, *content_of(video), user % 2, watch),
            *(bool(came >> bit & 1) for bit in range(4)),
            *(begins(place) + timedelta(days=day), begins(place) + timedelta(days=day + late)),
        )
        for place, world in enumerate(there)
        for user, video, day, late, watch, came in world
    ]


def frame(spark: SparkSession, found: list[tuple[Any, ...]]) -> DataFrame:
    ddl = (
        "user_id bigint, video_id bigint, author_id bigint, tag_id int, duration_ms bigint, surface int, "
        "watch_ms bigint, is_click boolean, is_long_view boolean, is_like boolean, is_not_interested boolean, "
        "shown_on date, ds date"
    )
    return spark.createDataFrame(found, ddl)


def follows(spark: SparkSession, poison: Sequence[bool]) -> DataFrame:
    """Each user follows one author; after the snapshot, where there is poison, everyone all."""
    found = [
        (user, author, begins(place) + timedelta(days=day))
        for place, more in enumerate(poison)
        for day in range(SEEN_ON + 4)
        for user in range(USERS_THERE)
        for author in range(3)
        if author == user % 3 or (more and day > SEEN_ON)
    ]
    return spark.createDataFrame(found, spark_schema(FOLLOWS))


def known_of(spark: SparkSession, poison: Sequence[bool]) -> tuple[DataFrame, DataFrame]:
    """Returns tables users and videos on the snapshot's day and the next, which poison changes."""
    users, videos = [], []
    for place, more in enumerate(poison):
        for day in (SEEN_ON, SEEN_ON + 1):
            ds = begins(place) + timedelta(days=day)
            changed = 50 if more and day > SEEN_ON else 0
            users += [(user, 100 + day + changed, "high", user + changed, 2, ds) for user in range(USERS_THERE)]
            uploaded = begins(place) + timedelta(days=20)
            for video in range(VIDEOS_THERE + changed):
                author, tag, length = content_of(video)
                videos.append((video, author, tag, [1], length, uploaded, "web", None, True, False, ds))
    return spark.createDataFrame(users, spark_schema(USERS)), spark.createDataFrame(videos, spark_schema(VIDEOS))


def lines(*leaves: str) -> list[FeatureGroup]:
    """Returns `leaves` and all groups above them, parents before their children."""
    wanted = set(leaves)
    for group in reversed(all_groups().values()):
        wanted |= {group.parent} if group.name in wanted else set()
    return [group for group in all_groups().values() if group.name in wanted]


def snapshots(
    of_groups: Mapping[str, DataFrame], groups: Sequence[FeatureGroup], days: Sequence[date]
) -> tuple[dict[str, DataFrame], dict[tuple[str, date], Mapping[str, Prior]]]:
    """Returns snapshots and priors of `groups` from the tiles `of_groups`, as the job does but for the sample."""
    made, how = dict[str, "DataFrame"](), dict[tuple[str, date], Mapping[str, Prior]]()
    for group in groups:
        parent = all_groups()[group.parent] if group.parent else None
        summed = window_sums(of_groups[group.name], group, days)
        sums = expected(summed, group, parent, made.get(group.parent))
        # Of so few pairs the sample may be empty; test_a_sample_that_is_empty_loses_no_one is about that.
        priors = estimate(sums, group, days)
        snapshot = shrunk(sums, group, priors)
        made[group.name] = sums.sparkSession.createDataFrame(snapshot.collect(), snapshot.schema)
        how |= {(group.name, day): of_day for day, of_day in priors.items()}
    return made, how


Values = dict[tuple[Any, ...], dict[str, float]]


def collected(made: Mapping[str, DataFrame]) -> dict[tuple[int, int], dict[str, Values]]:
    """Returns values by place and day, group and entity; an entity has one row."""
    found: dict[tuple[int, int], dict[str, Values]] = defaultdict(lambda: defaultdict(dict))
    for name, snapshot in made.items():
        for row in snapshot.collect():
            values = row.asDict()
            of_group = found[placed(values.pop("ds"))][name]
            entity = tuple(values.pop(column) for column in all_groups()[name].entity)
            assert entity not in of_group, f"two rows of {name} for {entity}"
            of_group[entity] = values
    return found


@few
@given(worlds, st.integers(0, 2**16))
def test_neither_the_future_nor_the_order_of_rows_changes_a_vector(
    spark: SparkSession, drawn: list[World], order: int
) -> None:
    """Three variants of each world: as it is, its future poisoned, and as it is again, with its rows elsewhere."""
    groups = lines("user_tag_affinity", "follower_reception")
    there = [variant for world in map(with_later_rows, drawn) for variant in (world, poisoned(world), world)]
    poison = [place % 3 == 1 for place in range(len(there))]
    logged = impressions(there)
    shuffled = [logged[i] for i in np.random.default_rng(order).permutation(len(logged))]
    edges, (users, videos) = follows(spark, poison), known_of(spark, poison)
    arrived = derived(frame(spark, shuffled).repartition(3), edges).cache()
    days = [begins(place) + timedelta(days=SEEN_ON) for place in range(len(there))]
    made, how = snapshots({group.name: tiles(arrived, group) for group in groups}, groups, days)
    assert any(prior.estimated for of_day in how.values() for prior in of_day.values())
    found = collected(made)
    vector_of: dict[tuple[int, int, int], list[float]] = {}
    for row in vectors(asked(spark, days).cache(), Knowledge(made, users, videos, edges)).collect():
        vector_of[placed(row["snapshot_ds"])[0], row["user_id"], row["video_id"]] = row["features"]
    for place in range(0, len(there), 3):
        for other, why in ((place + 1, "what came later"), (place + 2, "where rows lay")):
            assert found[place, SEEN_ON] == found[other, SEEN_ON], f"a snapshot changed with {why}"
            changed = {key for key in vector_of if key[0] == place and differ(vector_of, key, (other, *key[1:]))}
            assert not changed, f"vectors changed with {why}"
        stranger_is_as_all(vector_of[place, STRANGER, STRANGER], found[place, SEEN_ON], groups)
        unseen_in_a_window_is_as_its_parent(found[place, SEEN_ON], groups)


def differ(vector_of: Mapping[tuple[int, int, int], list[float]], *keys: tuple[int, int, int]) -> bool:
    return not np.array_equal(*(vector_of[key] for key in keys), equal_nan=True)


def asked(spark: SparkSession, days: Sequence[date]) -> DataFrame:
    """Users ASKED with every video on the day after each of `days`, and a stranger with a video never shown."""
    pairs = [(user, video) for user in ASKED for video in range(VIDEOS_THERE)]
    found: list[tuple[Any, ...]] = []
    for day in days:
        when = (day + timedelta(days=1), day, day - timedelta(days=5), "web", None, [1])
        found += [(*pair, *content_of(pair[1]), 0, *when) for pair in pairs]
        found.append((STRANGER, STRANGER, STRANGER, STRANGER, 500_000, 9, *when))
    ddl = (
        "user_id bigint, video_id bigint, author_id bigint, tag_id int, duration_ms bigint, surface int, "
        "shown_on date, snapshot_ds date, uploaded_on date, upload_type string, music_id bigint, tags array<int>"
    )
    return spark.createDataFrame(found, ddl)


def stranger_is_as_all(vector: list[float], seen: Mapping[str, Values], groups: Sequence[FeatureGroup]) -> None:
    of_all = seen[groups[0].name].get((), {})
    for group in groups[1:]:
        for feature, _, column in group.columns:
            value = vector[feature_names().index(f"{group.name}__{column}")]
            base = of_all.get(column, feature.base) if isinstance(feature, Rate) else 0.0
            assert value == pytest.approx(base, rel=1e-6), f"{group.name}__{column} of a stranger"


def unseen_in_a_window_is_as_its_parent(seen: Mapping[str, Values], groups: Sequence[FeatureGroup]) -> None:
    for group in groups:
        for entity, values in seen[group.name].items():
            for rate in group.rates:
                for window in group.windows:
                    column = column_name(rate.name, window)
                    assert 0 <= values[column] <= 1
                    if values[column_name("showings", window)] == 0:
                        parents = all_groups()[group.parent].entity if group.parent else ()
                        upper = tuple(part for name, part in zip(group.entity, entity, strict=True) if name in parents)
                        above = seen[group.parent][upper][column] if group.parent else rate.base
                        assert values[column] == pytest.approx(above, rel=1e-6), f"{group.name}__{column} of {entity}"


@few
@given(worlds, st.sampled_from(["video_reception", "user_activity"]))
def test_day_by_day_equals_all_days_at_once(spark: SparkSession, drawn: list[World], leaf: str) -> None:
    groups, steps = lines(leaf), (SEEN_ON, SEEN_ON + 1)
    arrived = derived(frame(spark, impressions(drawn)), follows(spark, [False] * len(drawn))).cache()
    every_day = [begins(place) + timedelta(days=day) for place in range(len(drawn)) for day in steps]
    made, how = snapshots({group.name: tiles(arrived, group) for group in groups}, groups, every_day)
    at_once = collected(made)
    assert at_once

    kept: dict[str, list[DataFrame]] = {group.name: [] for group in groups}
    for step in steps:
        day = f"date_diff(ds, '{FIRST}') % {APART}"
        # What arrived before the first of the days is there when it begins.
        new = arrived.where(f"{day} <= {step}" if step == steps[0] else f"{day} = {step}")
        for group in groups:
            kept[group.name].append(tiles(new, group))
        so_far = {name: reduce(lambda a, b: a.unionByName(b), parts) for name, parts in kept.items()}
        days = [begins(place) + timedelta(days=step) for place in range(len(drawn))]
        alone, how_alone = snapshots(so_far, groups, days)
        assert how_alone == {key: of_day for key, of_day in how.items() if key[1] in days}
        assert collected(alone) == {key: seen for key, seen in at_once.items() if key[1] == step}


def test_a_sample_that_is_empty_loses_no_one(spark: SparkSession) -> None:
    """With fewer than 30 entities, so also with none in the sample, the declared strength serves."""
    group, day = all_groups()["user_tag_affinity"], begins(0) + timedelta(days=SEEN_ON)
    some = [[(user, 1, SEEN_ON, 0, 9_000, 1) for user in ASKED]]
    of_group = tiles(derived(frame(spark, impressions(some)), follows(spark, [False])), group)
    assert sampled(of_group, group).isEmpty(), "other pairs are needed: one of these is drawn"
    sums = expected(window_sums(of_group, group, [day]), group, None, None)
    drawn = expected(window_sums(sampled(of_group, group), group, [day]), group, None, None)
    assert shrunk(sums, group, estimate(drawn, group, [day])).count() == len(ASKED)
