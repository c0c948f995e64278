"""A night through Airflow that cannot succeed: it ends at once, in the words of the job, and tells where to look."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ReelfeedError
from core.settings import Settings, load_settings
from reelfeed.airflow_env import run_dag


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REELFEED_HOME", str(tmp_path_factory.mktemp("home")))
        yield load_settings("local")


def test_logs_that_are_not_there_fail_the_first_task_once(
    installation: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = str(tmp_path / "nowhere")
    with pytest.raises(ReelfeedError) as raised:
        run_dag("nightly_feed", {"ds": "2026-01-05", "logs_dir": nowhere}, installation)
    assert "task ingest_events of nightly_feed failed" in raised.value.what
    assert "error: " in raised.value.what
    assert nowhere in raised.value.what
    assert Path(raised.value.where).read_text("utf-8").count("Spark-Submit cmd") == 1, "it was tried again for nothing"
    assert capsys.readouterr().out.splitlines()[0] == "── ingest_events"


def test_a_misspelt_param_is_named_before_spark_starts(installation: Settings) -> None:
    with pytest.raises(ReelfeedError) as raised:
        run_dag("nightly_feed", {"day": "2026-01-05"}, installation)
    assert "ingest_events" in raised.value.what
    log = Path(raised.value.where).read_text("utf-8")
    assert "unknown params day; there are ds, recipe, logs, logs_dir" in log
    assert "Spark-Submit cmd" not in log


def test_a_param_out_of_its_choices_starts_no_run(installation: Settings) -> None:
    with pytest.raises(ReelfeedError, match="'for_nobody' is not one of"):
        run_dag("nightly_feed", {"ds": "2026-01-05", "recipe": "for_nobody"}, installation)
