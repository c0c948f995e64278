"""`reelfeed features`: a value is shown with what it was made of, and whoever asks wrongly is told how to ask."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from deltalake import write_deltalake

from core.errors import MissingDataError, ReelfeedError, UsageError
from core.lake import Lake
from core.recipe import load_recipe
from core.run import Request, run_jobs
from core.settings import load_settings, with_home
from core.tables.feature_priors import TABLE as FEATURE_PRIORS
from features.catalog import all_groups, feature_names
from features.group import FeatureGroup, Rate
from jobs._registry import all_jobs
from reelfeed.__main__ import cli
from reelfeed.features import OPTIONS
from sim.logs import write_days
from sim.world import WorldConfig

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FIRST, LAST = date(2026, 1, 1), date(2026, 1, 3)
NOBODY = 999_999
WORLD = WorldConfig(
    seed=11, first_day=FIRST, users=60, videos=80, authors=12, tags=4, impressions_per_user_day=20, late_share=0.05
)
Row = dict[str, Any]


@pytest.fixture(scope="module")
def home(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation with features of three days, made by the jobs."""
    folder = tmp_path_factory.mktemp("home")
    logs = str(folder / "logs")
    write_days(WORLD, logs, [FIRST + timedelta(days=i) for i in range((LAST - FIRST).days + 1)])
    local = load_settings("local")
    settings = with_home(replace(local, spark=replace(local.spark, shuffle_partitions=2)), folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("REELFEED_HOME", raising=False)
        request = Request(LAST, FIRST, load_recipe("for_you"), "simulated", logs)
        run_jobs(all_jobs(), ("ingest_events", "build_features"), request, settings)
    return folder


@pytest.fixture(scope="module")
def lake(home: Path) -> Lake:
    return Lake(str(home / "lake"))


def told(home: Path, *arguments: object) -> str:
    """What the command prints."""
    result = CliRunner().invoke(cli, ["features", *map(str, arguments)], env={"REELFEED_HOME": str(home)})
    if result.exception:
        raise result.exception
    assert result.exit_code == 0
    return result.output


def refused(home: Path, *arguments: object) -> ReelfeedError:
    with pytest.raises(ReelfeedError) as caught:
        told(home, *arguments)
    return caught.value


def options(entity: Row) -> list[object]:
    return [part for column, number in entity.items() for part in (OPTIONS[column], number)]


def tables(text: str) -> tuple[list[Row], list[Row]]:
    """The values and the tiles of a text, as rows of words by column."""
    found = []
    for title in ("Values", "Tiles"):
        lines = text[text.index(f"\n{title} (") + 1 :].splitlines()[1:]
        header, *cells = [re.split("  +", line.strip()) for line in lines]
        found.append([dict(zip(header, row, strict=True)) for row in cells if len(row) == len(header)])
    return found[0], found[1]


def busiest(lake: Lake, group: FeatureGroup) -> Row:
    """The entity with most tiles, late ones first of all: of these the most can go wrong."""
    by_entity: dict[tuple[int, ...], list[Row]] = {}
    for tile in lake.read_arrow(group.tiles, lake.days(group.tiles)).to_pylist():
        by_entity.setdefault(tuple(tile[column] for column in group.entity), []).append(tile)
    found = max(sorted(by_entity), key=lambda one: (sum(t["event_on"] < t["ds"] for t in by_entity[one]), len(one)))
    return dict(zip(group.entity, found, strict=True))


@pytest.mark.parametrize("group", all_groups().values(), ids=lambda group: group.name)
def test_every_value_follows_from_the_tiles_prior_and_strength_shown(
    group: FeatureGroup, home: Path, lake: Lake
) -> None:
    entity = busiest(lake, group)
    text = told(home, group.name, *options(entity), "--ds", LAST)
    values, tiles = tables(text)
    assert "!" not in text

    def stored(of: FeatureGroup) -> Row:
        for row in lake.read_arrow(of.snapshot, [LAST]).to_pylist():
            if all(row[column] == entity[column] for column in of.entity):
                return row
        raise AssertionError(of.name)

    strengths = {row["feature"]: row["strength"] for row in lake.read_arrow(FEATURE_PRIORS, [LAST]).to_pylist()}
    by_name = {row["feature"]: row for row in values}
    assert by_name.keys() == {f"{group.name}__{column}" for _, _, column in group.columns}
    for feature, window, column in group.columns:
        row = by_name[f"{group.name}__{column}"]
        weights = [float(t["weight_decayed"]) if window.half_life_days else int(t["age"]) < window.days for t in tiles]

        def total(measure: str, weights: list[float] = weights) -> float:
            return sum(weight * int(tile[measure]) for weight, tile in zip(weights, tiles, strict=True))

        if isinstance(feature, Rate):
            n, top = (total(each.name) / feature.scale for each in (feature.bottom, feature.top))
            prior, k = float(row["prior"]), float(row["k"])
            assert float(row["top"]) == pytest.approx(top, rel=1e-4)
            assert float(row["value"]) == pytest.approx((top + k * prior) / (n + k), rel=1e-4)
            assert k == pytest.approx(strengths[row["feature"]], rel=1e-5)
            assert prior == pytest.approx(
                stored(all_groups()[group.parent])[column] if group.parent else feature.base, rel=1e-5
            )
        else:
            n = total(feature.measure.name)
            assert float(row["value"]) == pytest.approx(np.log1p(n), rel=1e-4)
        assert float(row["n"]) == pytest.approx(n, rel=1e-4)
        assert float(row["value"]) == pytest.approx(stored(group)[column], rel=1e-5)


def test_one_feature_is_shown_with_its_own_window_and_measures_alone(home: Path, lake: Lake) -> None:
    entity = busiest(lake, all_groups()["video_reception"])
    values, tiles = tables(told(home, "video_reception__like_rate_1d", *options(entity), "--ds", LAST))
    assert [row["feature"] for row in values] == ["video_reception__like_rate_1d"]
    assert {tile["event_on"] for tile in tiles} == {str(LAST)}
    assert set(tiles[0]) == {"event_on", "arrived", "age", "likes", "showings"}


def test_a_snapshot_is_shown_with_what_had_arrived_by_its_day_alone(home: Path) -> None:
    _, late = tables(told(home, "all_reception", "--ds", LAST))
    assert any(tile["event_on"] < tile["arrived"] == str(LAST) for tile in late), "nothing late tests this"
    _, early = tables(told(home, "all_reception", "--ds", LAST - timedelta(days=1)))
    assert {tile["arrived"] for tile in early} == {str(FIRST), str(LAST - timedelta(days=1))}


def test_for_an_unseen_pair_the_rates_of_the_nearest_that_was_seen_stand(home: Path, lake: Lake) -> None:
    activity, everyone = (all_groups()[name].snapshot for name in ("user_activity", "all_reception"))
    of_user = lake.read_arrow(activity, [LAST]).to_pylist()[0]
    of_all = lake.read_arrow(everyone, [LAST]).to_pylist()[0]
    name = "user_tag_affinity__like_rate_28d"
    text = told(home, name, "--user", of_user["user_id"], "--tag", NOBODY, "--ds", LAST)
    assert f"Unseen: of user_id {of_user['user_id']}, tag_id {NOBODY}" in text
    assert f"{of_user['like_rate_28d']:.6g}  that of user_activity (user_id {of_user['user_id']})" in text
    text = told(home, "user_tag_affinity", "--user", NOBODY, "--tag", NOBODY, "--ds", LAST)
    assert re.search(rf"{name} +{of_all['like_rate_28d']:.6g}  that of all_reception \(all impressions\)", text)
    assert re.search(r"user_tag_affinity__showings_28d +0  no impressions", text)


def test_tiles_that_changed_after_the_snapshot_are_not_passed_off_as_its_own(
    home: Path, lake: Lake, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(home, other)
    group = all_groups()["video_reception"]
    entity = busiest(lake, group)
    tiles = lake.read_arrow(group.tiles, lake.days(group.tiles))
    doubled = [row | {"showings": 2 * row["showings"]} for row in tiles.to_pylist()]
    changed = type(tiles).from_pylist(doubled, schema=tiles.schema)
    write_deltalake(str(other / "lake" / group.tiles.name), changed, mode="overwrite")
    text = told(other, "video_reception__showings_7d", *options(entity), "--ds", LAST)
    assert "! video_reception__showings_7d was stored as" in text
    assert f"reelfeed run build_features --ds {LAST}" in text


def test_facts_are_shown_as_sql_with_where_they_are_read_from(home: Path) -> None:
    text = told(home, "social__follows_author")
    assert "read off a row" in text
    assert "coalesce(follows_author, 0)" in text
    assert "table follows" in text
    assert "social__author_followers" in told(home, "social")


def test_the_list_has_one_line_for_every_feature(home: Path) -> None:
    lines = [re.split(r"  +", line) for line in told(home).splitlines()[1:]]
    named = {line[0]: line for line in lines}
    assert len(named) == len(lines)
    assert set(feature_names()) <= set(named)
    assert named["session__skips"][1:4] == ["session", "request", "36 h"]
    assert named["all_reception__like_rate_7d"][2] == "only a prior"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("video_recpetion__long_view_rate_7d", "video_reception__long_view_rate_7d"),
        ("video_reception__long_view_rate", "video_reception__long_view_rate_7d"),
        ("user_activty", "user_activity"),
        ("social__follows", "social__follows_author"),
    ],
)
def test_a_misspelt_name_is_met_with_the_nearest(name: str, near: str, home: Path) -> None:
    error = refused(home, name, "--ds", LAST)
    assert isinstance(error, UsageError)
    assert near in str(error)
    assert "did you mean" in error.next_step


def test_all_options_that_are_missing_or_too_many_are_named_at_once(home: Path) -> None:
    error = refused(home, "user_tag_affinity", "--user", 3, "--video", 4)
    assert isinstance(error, UsageError)
    assert "add --tag, --ds; leave out --video" in error.what
    assert error.next_step == "reelfeed features user_tag_affinity --user 3 --tag ID --ds YYYY-MM-DD"
    assert "2^63" in refused(home, "user_activity", "--user", -1, "--ds", LAST).what
    assert "NAME" in refused(home, "--user", 3).what


@pytest.mark.parametrize("name", ["video_reception", "follower_reception"])
def test_a_day_without_a_snapshot_is_missing_data(name: str, home: Path, tmp_path: Path) -> None:
    later = LAST + timedelta(days=1)
    error = refused(home, name, "--video", 3, "--ds", later)
    assert isinstance(error, MissingDataError)
    assert f"days published: {FIRST} to {LAST}" in error.choices
    assert error.next_step == f"reelfeed run build_features --ds {later}"
    assert isinstance(refused(tmp_path, name, "--video", 3, "--ds", LAST), MissingDataError)


def test_the_command_needs_no_spark(home: Path) -> None:
    code = "import sys; sys.modules['pyspark'] = None; from reelfeed.__main__ import main; main()"
    arguments = ["features", "all_reception__like_rate_7d", "--ds", str(LAST)]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"REELFEED_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "all_reception__like_rate_7d" in done.stdout
