"""One small world, one slice of KuaiRand and an installation of each, shared by all end-to-end tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kuairand import LAST, kuairand_request
from worlds import EVE, FIRST, NIGHT, NIGHTLY, make_logs, request, small

from core.run import run_jobs
from core.settings import Settings
from jobs._registry import TRAINING, all_jobs
from reelfeed.night import HISTORY_JOBS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_logs(tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="session")
def trained(spark: SparkSession, logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An installation with nine days of history and a champion, before its first night."""
    settings = small(tmp_path_factory.mktemp("home"))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("REELFEED_HOME", raising=False)
        run_jobs(all_jobs(), (*HISTORY_JOBS, *TRAINING), request(logs, FIRST, EVE), settings)
    return settings


@pytest.fixture(scope="session")
def night(trained: Settings, logs: Path) -> Settings:
    """The same installation after its night."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("REELFEED_HOME", raising=False)
        run_jobs(all_jobs(), NIGHTLY, request(logs, NIGHT, NIGHT), trained)
    return trained


@pytest.fixture(scope="session")
def kuairand(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An installation with the facts and features of all days of the slice; tests add their own training days."""
    settings = small(tmp_path_factory.mktemp("kuairand"))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("REELFEED_HOME", raising=False)
        run_jobs(all_jobs(), HISTORY_JOBS, kuairand_request(LAST), settings)
        # The address of the lake depends on the environment, which is only now as it was at the run.
        return replace(settings, lake_uri=settings.lake, mlflow_uri=settings.tracking_uri)
