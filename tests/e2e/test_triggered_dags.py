"""DAGs that run when somebody asks for them, through a real Airflow from their first task to their last."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from worlds import NIGHT, as_it_was_before_the_night, request

from core.errors import ReelfeedError
from core.lake import Lake
from core.run import run_jobs
from core.settings import Settings, with_home
from core.store import open_store
from core.tables.feeds import TABLE as FEEDS
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.refreshed_feeds import TABLE as REFRESHED_FEEDS
from jobs._publications import ledger
from jobs._registry import all_jobs
from models.handoff import current
from reelfeed.airflow_env import run_dag

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.drill
NEXT = NIGHT + timedelta(days=1)


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REELFEED_HOME", raising=False)


@pytest.fixture
def twice(night: Settings, logs: Path, tmp_path: Path, spark: SparkSession) -> Settings:
    """The installation after its night, whose feeds were published once more with other values."""
    shutil.copytree(night.home_path, tmp_path / "home")
    settings = with_home(night, tmp_path / "home")
    lake = Lake(settings.lake)
    feeds = lake.read(spark, FEEDS, [NIGHT])
    other = feeds.withColumn("value", feeds["value"] + 1)
    lake.publish(other, FEEDS, [NIGHT], validate=lambda *_: [], job="hand", seconds=lambda: 0.0, reads={})
    run_jobs(all_jobs(), ["publish_feeds", "export_feeds"], request(logs, NIGHT, NIGHT), settings)
    assert _served(settings) == 2
    return settings


def _served(settings: Settings) -> int:
    edition = current(open_store(settings.store), "for_you")
    assert edition is not None
    return edition.number


def test_rollback_serves_earlier_feeds_again_and_the_ledger_has_the_reason(twice: Settings, tmp_path: Path) -> None:
    with pytest.raises(ReelfeedError) as raised:
        run_dag("rollback", {"to": "9", "reason": "too many cats"}, twice)
    assert "no publication '9'" in raised.value.what
    assert Path(raised.value.where).read_text("utf-8").count("no publication '9'") > 0
    assert _served(twice) == 2
    said = "too many cats; $(touch ran) {{ ds }}"
    run_dag("rollback", {"reason": said}, twice)
    assert _served(twice) == 1
    newest = ledger(Lake(twice.lake), "for_you")[-1]
    assert (newest["number"], newest["action"], newest["origin"], newest["reasons"]) == (3, "rolled_back", 1, [said])


def test_an_hour_of_a_day_whose_night_is_not_served_is_skipped_and_says_so(
    twice: Settings, logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = NEXT + timedelta(days=1)
    shutil.copytree(logs, tmp_path / "logs")
    run_dag("hourly_refresh", {"ds": str(later), "hour": 12, "logs_dir": str(tmp_path / "logs")}, twice)
    said = capsys.readouterr().out.splitlines()
    assert said[-2:] == [
        "── refresh_feeds",
        f"   skipped: not the feeds of {NEXT} are served but publication 2, of {NIGHT}: it stays as it is",
    ]
    assert not Lake(twice.lake).days(REFRESHED_FEEDS)


def test_a_day_of_the_closed_loop_makes_the_next_day_s_logs_of_its_feeds(
    trained: Settings, logs: Path, tmp_path: Path, spark: SparkSession
) -> None:
    settings = as_it_was_before_the_night(trained, tmp_path)
    shutil.copytree(logs, tmp_path / "logs")
    run_dag("closed_loop", {"ds": str(NIGHT), "logs_dir": str(tmp_path / "logs")}, settings)
    run_jobs(all_jobs(), ["ingest_events"], request(tmp_path / "logs", NEXT, NEXT), settings)
    lake = Lake(settings.lake)
    feeds = lake.read_arrow(FEEDS, [NIGHT], ["user_id", "video_id"]).to_pylist()
    slots = {(row["user_id"], row["video_id"]) for row in feeds}
    shown = lake.read_arrow(IMPRESSIONS, [NEXT], ["user_id", "video_id", "is_random"]).to_pylist()
    explored = [(row["user_id"], row["video_id"]) in slots for row in shown if row["is_random"]]
    assert sum(explored) > 10
