"""What all tests share: one Spark session, and scratch installations that end with their test."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings as hypothesis_settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from core.java_start import SHORT_JOB
from core.lake import Lake
from core.settings import Settings, load_settings, with_home

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


# A process of pytest-xdist has no main file, for which PySpark takes it for a run of its own doctests, and exits.
if not hasattr(sys.modules["__main__"], "__file__"):
    sys.modules["__main__"].__file__ = __file__

# Read when LightGBM is loaded, by whichever test comes first: its threads would spin while others work.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# A law is held or not, however busy the machine is.
hypothesis_settings.register_profile("reelfeed", deadline=None)
hypothesis_settings.load_profile("reelfeed")


INSTALLATIONS = {
    "trained": (
        "test_explain",
        "test_faults",
        "test_new_videos",
        "test_night",
        "test_triggered_dags",
        "test_ui",
        "test_weights",
    ),
    "kuairand": ("test_kuairand_features", "test_kuairand_labels", "test_kuairand_ranking"),
}


class ByInstallation(LoadFileScheduling):
    """Deals whole files to the processes, and all files that share an installation of tests/e2e/conftest.py to one."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return next((name for name, files in INSTALLATIONS.items() if Path(file).stem in files), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByInstallation:
    return ByInstallation(config, log)


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One Spark session for the whole run, small."""
    from core.spark import session

    settings = load_settings("local")
    # Tests are many small queries, over before the compiler of last resort has paid for itself.
    quick = {"spark.driver.extraJavaOptions": SHORT_JOB}
    spark = replace(settings.spark, shuffle_partitions=2, extra=settings.spark.extra | quick)
    running = session(replace(settings, spark=spark), "reelfeed tests")
    yield running
    running.stop()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The local profile with a home of its own."""
    monkeypatch.setenv("REELFEED_HOME", str(tmp_path / "home"))
    local = load_settings("local")
    return with_home(replace(local, spark=replace(local.spark, shuffle_partitions=2)), tmp_path / "home")


@pytest.fixture
def lake(settings: Settings) -> Lake:
    return Lake(settings.lake)
