"""What all tests share: one Spark session, and scratch installations that end with their test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings as hypothesis_settings

from core.java_start import SHORT_JOB
from core.lake import Lake
from core.settings import Settings, load_settings, with_home

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


# A law is held or not, however busy the machine is.
hypothesis_settings.register_profile("reelfeed", deadline=None)
hypothesis_settings.load_profile("reelfeed")


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
