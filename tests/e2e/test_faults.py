"""Nights with something missing, late or changed: a feed comes out all the same, and says what it was made of."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from worlds import CONFIG, FIRST, NIGHT, NIGHTLY, as_it_was_before_the_night, make_logs, request, small

from core.errors import ContractError
from core.job import JobContext
from core.lake import Lake
from core.recipe import load_recipe
from core.run import run_jobs
from core.settings import ROOT, Settings
from core.store import open_store
from core.tables.feeds import TABLE as FEEDS
from core.tables.health import TABLE as HEALTH
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.parity import TABLE as PARITY
from core.tables.source_fits import TABLE as SOURCE_FITS
from core.tables.stage_recall import TABLE as STAGE_RECALL
from features.catalog import all_groups
from jobs._knowledge import snapshot_version
from jobs._registry import all_jobs
from jobs.write_report import night_report
from models.handoff import current
from models.model_rows import nothing
from models.source import Known, all_sources
from reelfeed.night import HISTORY_JOBS
from sim.logs import write_days
from sim.user import MAIN_SURFACE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

JOBS = all_jobs()
RECIPE = load_recipe("for_you")
NEXT = NIGHT + timedelta(days=1)
LATE, ARRIVED = FIRST + timedelta(days=1), FIRST + timedelta(days=4)


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REELFEED_HOME", raising=False)


def snapshot_of(settings: Settings) -> str:
    """Returns the version of the features that the ranked slots of the night name: all the same one."""
    slots = Lake(settings.lake).read_arrow(FEEDS, [NIGHT], ["tier", "snapshot_version"]).to_pylist()
    (version,) = {slot["snapshot_version"] for slot in slots if slot["tier"] != "popular"}
    return str(version)


def served(settings: Settings) -> set[int]:
    return set(Lake(settings.lake).read_arrow(FEEDS, [NIGHT], ["user_id"])["user_id"].to_pylist())


def test_without_tonight_s_features_and_with_a_source_that_fails_the_feed_comes_out_and_says_so(
    night: Settings,
    trained: Settings,
    logs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = as_it_was_before_the_night(trained, tmp_path)
    too_old = all_groups()["video_reception"].snapshot
    Lake(settings.lake).open(too_old).delete(f"ds > '{NIGHT - timedelta(days=3)}'")

    def fails(known: Known) -> DataFrame:
        raise ArithmeticError("no inverse\nand more")

    sources = all_sources()
    monkeypatch.setitem(sources, "linear_autoencoder", replace(sources["linear_autoencoder"], fit=fails))
    follows = replace(sources["following"], fit=lambda known: nothing(known.follows.sparkSession))
    monkeypatch.setitem(sources, "following", follows)
    without = [name for name in NIGHTLY if name != "build_features"]
    run_jobs(JOBS, without, request(logs, NIGHT, NIGHT), settings)
    lake = Lake(settings.lake)
    feeds = lake.read_arrow(FEEDS, [NIGHT], ["tier", "absent_sources", "snapshot_version"])
    assert "degraded" in feeds["tier"].unique().to_pylist()
    assert "personal" not in feeds["tier"].unique().to_pylist()
    assert served(settings) == served(night), "some users lost their feed"
    assert {tuple(row) for row in feeds["absent_sources"].to_pylist()} == {("following", "linear_autoencoder")}
    fits = {row["source"]: row for row in lake.read_arrow(SOURCE_FITS, [NIGHT]).to_pylist()}
    seen = fits["linear_autoencoder"]
    assert (seen["state"], seen["reason"]) == ("failed", "ArithmeticError: no inverse")
    assert fits["following"]["state"] == "nothing"
    text = night_report(settings, NIGHT, load_recipe("for_you"), None)
    assert "failed ArithmeticError: no inverse" in text
    alerts = [record.getMessage() for record in caplog.records if record.name == "reelfeed.alert"]
    assert f"feeds of {NIGHT} are made without source linear_autoencoder: ArithmeticError: no inverse" in alerts[0]
    assert f"feeds of {NIGHT} are of the tier degraded, late are: " in alerts[1]
    assert too_old.name in alerts[1]
    assert len(alerts) == 2
    assert f"{too_old.name}: its rows of {NIGHT} are missing" in caplog.text
    edition = current(open_store(settings.store), "for_you")
    assert edition is not None
    assert edition.content_hash == lake.partitions(FEEDS, [NIGHT])[str(NIGHT)].hash, "they are not served"
    assert not set(feeds["snapshot_version"].unique().to_pylist()) & {snapshot_of(night)}


def test_where_no_source_proposes_anything_the_night_stops_and_the_feeds_before_are_served_on(
    night: Settings, logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(night.home_path, tmp_path / "home")
    settings = small(tmp_path / "home")
    before = current(open_store(settings.store), "for_you"), served(settings)
    sources = all_sources()
    for name, source in list(sources.items()):
        silent = replace(source, propose=lambda *asked, source=source: source.propose(*asked).where("false"))
        monkeypatch.setitem(sources, name, silent)
    with pytest.raises(ContractError, match="candidates") as raised:
        run_jobs(JOBS, ["propose_candidates", "score_candidates", "build_feed"], request(logs, NIGHT, NIGHT), settings)
    assert raised.value.exit_code == 1, "Airflow is to fail at once, and alert"
    assert (current(open_store(settings.store), "for_you"), served(settings)) == before


@pytest.mark.drill
def test_killed_half_way_the_feature_job_carries_on_to_the_same_snapshots(
    night: Settings, trained: Settings, logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = as_it_was_before_the_night(trained, tmp_path)
    run_jobs(JOBS, ["ingest_events"], request(logs, NIGHT, NIGHT), settings)
    commit, commits = Lake._commit, list[str]()

    def die_at_the_ninth(lake: Lake, table: Any, *others: Any) -> int:
        commits.append(table.name)
        if len(commits) == 9:
            raise KeyboardInterrupt("killed")
        return commit(lake, table, *others)

    monkeypatch.setattr(Lake, "_commit", die_at_the_ninth)
    with pytest.raises(KeyboardInterrupt):
        run_jobs(JOBS, ["build_features"], request(logs, NIGHT, NIGHT), settings)
    monkeypatch.setattr(Lake, "_commit", commit)
    run_jobs(JOBS, ["build_features"], request(logs, NIGHT, NIGHT), settings)
    for group in all_groups().values():
        mine, theirs = Lake(settings.lake), Lake(night.lake)
        assert mine.partitions(group.snapshot, [NIGHT]) == theirs.partitions(group.snapshot, [NIGHT]), group.name


def test_rows_three_days_late_change_no_earlier_day_and_later_days_are_as_if_they_had_been_in_time(
    trained: Settings, tmp_path: Path
) -> None:
    folder = make_logs(tmp_path / "logs")
    moved = _delay(folder)
    settings = small(tmp_path / "home")
    run_jobs(JOBS, HISTORY_JOBS, request(folder, FIRST, ARRIVED), settings)
    late, timely = Lake(settings.lake), Lake(trained.lake)
    missing = (
        timely.partitions(IMPRESSIONS, [LATE])[str(LATE)].rows - late.partitions(IMPRESSIONS, [LATE])[str(LATE)].rows
    )
    assert 100 < missing <= moved, "copies of one impression count once"
    for group in all_groups().values():
        before, after = (lake.partitions(group.snapshot, [LATE, ARRIVED]) for lake in (timely, late))
        assert before[str(LATE)] != after[str(LATE)], f"{group.name}: the delay did not show on the day itself"
        # Whether the viewer followed the author is asked of the day a row arrived on.
        if not group.where:
            assert before[str(ARRIVED)] == after[str(ARRIVED)], group.name


def _delay(folder: Path) -> int:
    """Moves the impressions of LATE of one user in twenty, drawn by seed, to the logs of ARRIVED; returns how many."""
    day, arrival = (folder / f"day={each}" / "impressions.parquet" for each in (LATE, ARRIVED))
    rows, later = pq.read_table(day), pq.read_table(arrival)
    # Copies of one impression travel together, and what is broken stays where it is.
    shown, user = rows["shown_at"].to_pylist(), rows["user_id"].to_pylist()
    sound = [
        at is not None and str(at.date()) == str(LATE) and who is not None for at, who in zip(shown, user, strict=True)
    ]
    chosen = np.random.default_rng(5).choice(sorted({who for who, ok in zip(user, sound, strict=True) if ok}), 8, False)
    late = pa.array([ok and who in set(chosen.tolist()) for who, ok in zip(user, sound, strict=True)])
    pq.write_table(pa.concat_tables([later, rows.filter(late)]), arrival)
    pq.write_table(rows.filter(pa.compute.invert(late)), day)
    return int(np.sum(late.to_numpy(zero_copy_only=False)))


def test_parity_is_whole_until_a_table_changes_and_then_names_it(
    night: Settings, logs: Path, tmp_path: Path, spark: SparkSession
) -> None:
    shutil.copytree(night.home_path, tmp_path / "home")
    settings = small(tmp_path / "home")
    # A copy, since what reads a day of the world makes it where it lacks.
    shutil.copytree(logs, tmp_path / "logs")
    noon = replace(request(tmp_path / "logs", NEXT, NEXT), hour=12)
    run_jobs(JOBS, ["ingest_events", "ingest_today", "refresh_feeds"], noon, settings)
    # As Airflow runs it: in a process that has no Spark yet.
    command = [sys.executable, "-m", "reelfeed", "run", "check_parity", "--ds", str(NEXT), "--logs-dir", str(logs)]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"REELFEED_HOME": settings.home}, check=True)
    seen = {row["table"]: row for row in Lake(settings.lake).read_arrow(PARITY, [NEXT]).to_pylist()}
    for row in seen.values():
        assert (row["feed_ds"], row["mismatched"], row["mismatch_rate"], row["changed"]) == (NIGHT, 0, 0.0, [])
    assert seen["feeds"]["rows"] > 1000
    assert seen["refreshed_feeds"]["rows"] > 500

    group = all_groups()["video_reception"]
    lake = Lake(settings.lake)
    snapshot = lake.read(spark, group.snapshot, [NIGHT])

    def put(rows: DataFrame) -> str:
        lake.publish(rows, group.snapshot, [NIGHT], validate=lambda *_: [], job="hand", seconds=lambda: 0.0, reads={})
        return snapshot_version(JobContext(JOBS["score_candidates"], (NIGHT,), settings, RECIPE, "", "", lake), NIGHT)

    changed = snapshot.withColumn("like_rate_7d", (snapshot["like_rate_7d"] + 0.25).cast("float"))
    assert put(changed) != snapshot_of(night)
    assert put(snapshot.repartition(3)) == snapshot_of(night), "the same rows again have another version"
    put(changed)
    run_jobs(JOBS, ["check_parity"], request(logs, NEXT, NEXT), settings)
    rows = Lake(settings.lake).read_arrow(PARITY, [NEXT]).to_pylist()
    assert {row["table"] for row in rows if row["mismatch_rate"] > 0.9} == {"feeds", "refreshed_feeds"}
    assert all(row["changed"] == [group.snapshot.name] for row in rows)


def test_a_store_that_lost_everything_is_filled_again_by_a_process_of_its_own(
    night: Settings, logs: Path, tmp_path: Path
) -> None:
    shutil.copytree(night.home_path, tmp_path / "home")
    settings = small(tmp_path / "home")
    shutil.rmtree(settings.store)
    # As Airflow runs it: in a process that has no Spark yet.
    command = [sys.executable, "-m", "reelfeed", "run", "export_feeds", "--ds", str(NIGHT), "--logs-dir", str(logs)]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"REELFEED_HOME": settings.home}, check=True)
    served_now, before = (current(open_store(each.store), "for_you") for each in (settings, night))
    assert served_now is not None
    assert served_now == before


def test_health_tells_how_late_every_group_is(night: Settings, logs: Path, tmp_path: Path) -> None:
    shutil.copytree(night.home_path, tmp_path / "home")
    settings = small(tmp_path / "home")
    run_jobs(JOBS, ["check_health"], request(logs, NEXT, NEXT), settings)
    rows = Lake(settings.lake).read_arrow(HEALTH, [NEXT]).to_pylist()
    (seen,) = [row for row in rows if row["table"] == all_groups()["video_reception"].snapshot.name]
    assert (seen["newest"], seen["lag_hours"], seen["state"]) == (NIGHT, 24, "late")
    run_jobs(JOBS, ["check_health"], request(logs, NIGHT, NIGHT), settings)
    rows = Lake(settings.lake).read_arrow(HEALTH, [NIGHT]).to_pylist()
    assert {row["state"] for row in rows} == {"fresh"}


def test_the_world_s_users_see_what_was_published_and_the_next_night_learns_of_it(
    night: Settings, logs: Path, tmp_path: Path
) -> None:
    shutil.copytree(night.home_path, tmp_path / "home")
    shutil.copytree(logs, tmp_path / "logs")
    settings = small(tmp_path / "home")
    run_jobs(JOBS, ["serve_world"], request(tmp_path / "logs", NIGHT, NIGHT), settings)
    run_jobs(JOBS, ["ingest_events"], request(tmp_path / "logs", NEXT, NEXT), settings)
    feeds = Lake(settings.lake).read_arrow(FEEDS, [NIGHT], ["user_id", "video_id", "is_exploration"]).to_pylist()
    slots = {(row["user_id"], row["video_id"]): row["is_exploration"] for row in feeds}
    shown = Lake(settings.lake).read_arrow(IMPRESSIONS, [NEXT]).to_pylist()
    main = [row for row in shown if row["surface"] == MAIN_SURFACE and row["shown_on"] == NEXT]
    of_feed = [row for row in main if (row["user_id"], row["video_id"]) in slots]
    assert len(of_feed) > 0.8 * len(main)
    explored = [row for row in of_feed if slots[row["user_id"], row["video_id"]]]
    # Beyond their feed users are shown what the world's own policy picks: by chance a video of the feed, not at random.
    drawn = [row for row in explored if row["is_random"]]
    assert len(drawn) > max(10, 0.9 * len(explored))
    assert all(0 < row["propensity"] < 0.5 for row in drawn)


def test_recall_falls_from_stage_to_stage_and_every_source_tells_its_part(
    night: Settings, logs: Path, tmp_path: Path
) -> None:
    shutil.copytree(night.home_path, tmp_path / "home")
    shutil.copytree(logs, tmp_path / "logs")
    settings = small(tmp_path / "home")
    write_days(CONFIG, str(tmp_path / "logs"), [NEXT])
    asked = request(tmp_path / "logs", NEXT, NEXT)
    run_jobs(JOBS, ["ingest_events", "measure_recall"], asked, settings)
    rows = Lake(settings.lake).read_arrow(STAGE_RECALL, [NEXT]).to_pylist()
    found = {row["stage"]: row for row in rows}
    recalls = [found[stage]["recall"] for stage in ("candidates", "scored", "feed")]
    assert 1 >= recalls[0] >= recalls[1] >= recalls[2] > 0
    assert all(row["feed_ds"] == NIGHT and row["low"] <= row["recall"] <= row["high"] for row in rows)
    sources = [row for row in rows if row["stage"].startswith("source ")]
    assert {row["stage"].partition(" ")[2] for row in sources} == set(load_recipe("for_you").sources)
    assert max(row["recall"] for row in sources) <= recalls[0] <= sum(row["recall"] for row in sources)
    assert all(row["only"] <= row["recall"] for row in sources)
