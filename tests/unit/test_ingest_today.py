"""A day in progress, taken in hour by hour: what was shown by then, never less than before, and nothing later."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from core.errors import ContractError, ReelfeedError, UsageError
from core.lake import Lake
from core.recipe import load_recipe
from core.run import Request, run_jobs
from core.settings import Settings
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.todays_impressions import TABLE as TODAYS_IMPRESSIONS
from core.tables.todays_videos import TABLE as TODAYS_VIDEOS
from jobs._registry import all_jobs
from jobs.adapters import simulated
from reelfeed.__main__ import cli
from sim.logs import folder, write_days
from sim.world import WorldConfig

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

WORLD = WorldConfig(seed=3, users=80, videos=900, authors=20, tags=5, new_videos_share=0.2, broken_share=0.0)
TODAY = WORLD.first_day + timedelta(days=1)


@pytest.fixture
def logs_dir(settings: Settings) -> str:
    where = str(settings.home_path / "logs")
    write_days(WORLD, where, [TODAY])
    return where


def ingest(settings: Settings, logs_dir: str, hour: int, day: date = TODAY) -> None:
    run_jobs(
        all_jobs(),
        ["ingest_today"],
        Request(day, day, load_recipe("for_you"), "simulated", logs_dir, "", hour),
        settings,
    )


def logged(logs_dir: str, hour: int) -> pa.Table:
    """The day's own impressions, each once, that were shown before `hour`."""
    rows = pq.read_table(folder(logs_dir, TODAY) / "impressions.parquet", partitioning=None)
    own = rows.filter((pc.field("shown_on") == TODAY) & (pc.field("shown_hour") < hour))
    return own.group_by(list(IMPRESSIONS.key)).aggregate([])


def test_an_hour_knows_what_was_shown_before_it_and_the_next_takes_its_place(
    settings: Settings, lake: Lake, spark: SparkSession, logs_dir: str
) -> None:
    catalogue = pq.read_table(folder(logs_dir, TODAY) / "videos.parquet", partitioning=None)
    uploads = set(catalogue.filter(pc.field("uploaded_on") == TODAY)["video_id"].to_pylist())
    known = list[int]()
    for hour in (9, 20):
        ingest(settings, logs_dir, hour)
        rows, seen = lake.read_arrow(TODAYS_IMPRESSIONS, [TODAY]), logged(logs_dir, hour)
        assert rows.num_rows == seen.num_rows > 0
        assert set(rows["until_hour"].to_pylist()) == {hour}
        assert set(rows["shown_on"].to_pylist()) == {TODAY}
        pool = set(lake.read_arrow(TODAYS_VIDEOS, [TODAY])["video_id"].to_pylist())
        assert pool & uploads == uploads & set(seen["video_id"].to_pylist()), "an upload nobody saw is not known yet"
        assert pool - uploads == set(catalogue["video_id"].to_pylist()) - uploads
        known.append(len(pool & uploads))
    assert 0 < known[0] < known[1]
    version = lake.open(TODAYS_IMPRESSIONS).version()
    ingest(settings, logs_dir, 20)
    assert lake.open(TODAYS_IMPRESSIONS).version() == version
    with pytest.raises(UsageError, match="until hour 20 is here already: until 9 would be less"):
        ingest(settings, logs_dir, 9)
    assert not lake.exists(IMPRESSIONS), "nothing of it is a fact to learn from"


def test_an_hour_that_makes_no_sense_is_one_clear_error(
    settings: Settings, lake: Lake, spark: SparkSession, logs_dir: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pq.read_table(folder(logs_dir, TODAY) / "impressions.parquet", partitioning=None)
    late = rows.filter(pc.field("shown_hour") >= 5)
    pq.write_table(late, folder(logs_dir, TODAY) / "impressions.parquet")
    faults: list[tuple[int, type[ReelfeedError], str]] = [
        (0, UsageError, "needs an hour from 1 to 24, not 0"),
        (5, ContractError, "0 rows for 2026-01-02, at least 1 expected"),
    ]
    for hour, error, said in faults:
        with pytest.raises(error, match=said):
            ingest(settings, logs_dir, hour)
    monkeypatch.setattr(simulated, "ADAPTER", replace(simulated.ADAPTER, read_until=None))
    with pytest.raises(UsageError, match="simulated come by whole days") as raised:
        ingest(settings, logs_dir, 9)
    assert raised.value.choices == ("kuairand",)
    assert not lake.exists(TODAYS_IMPRESSIONS)


def test_the_command_line_takes_an_hour_for_the_jobs_of_one_alone() -> None:
    asked = ["run", "ingest_today", "build_feed", "--ds", str(TODAY), "--hour", "9"]
    assert isinstance(CliRunner().invoke(cli, asked).exception, UsageError)
    refused = CliRunner().invoke(cli, ["run", "ingest_today", "--ds", str(TODAY), "--hour", "25"])
    assert refused.exit_code == 2
    assert "1<=x<=24" in refused.output
