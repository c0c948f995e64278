"""Nights of training without the days before them: examples of a known world, in the real lake and the real MLflow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from core.job import Job, JobContext
from core.lake import Lake, spark_schema
from core.recipe import load_recipe
from core.settings import Settings, load_settings, with_home
from core.table import Table
from core.tables.evaluations import TABLE as EVALUATIONS
from core.tables.promotions import TABLE as PROMOTIONS
from core.tables.rankers import TABLE as RANKERS
from core.tables.training_examples import TABLE as TRAINING_EXAMPLES
from core.tables.videos import TABLE as VIDEOS
from features.catalog import categorical_names, feature_names
from jobs.evaluate import JOB as EVALUATE
from jobs.promote import JOB as PROMOTE
from jobs.train_ranker import JOB as TRAIN
from models.labels import label_names

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from pyspark.sql import SparkSession

FIRST, SECOND = date(2026, 1, 14), date(2026, 1, 15)
ROWS, USERS, VIDEOS_SHOWN = 12_000, 600, 300


class Night:
    """A scratch installation whose training examples are published, and how to run its jobs."""

    def __init__(self, spark: SparkSession, settings: Settings) -> None:
        self.spark, self.settings, self.lake = spark, settings, Lake(settings.lake)

    def run(self, job: Job, ds: date, experiment: str = "") -> None:
        job.run(JobContext(job, (ds,), self.settings, load_recipe("for_you"), "", "", self.lake, experiment))

    def rows(self, table: Table, ds: date) -> list[dict[str, Any]]:
        return self.lake.read_arrow(table, [ds]).to_pylist()

    def figure(self, ds: date, system: str, metric: str, head: str = "long_view") -> dict[str, Any]:
        found = [
            r for r in self.rows(EVALUATIONS, ds) if (r["system"], r["head"], r["metric"]) == (system, head, metric)
        ]
        return found[0]

    def hashes(self, ds: date) -> list[str]:
        return [self.lake.partitions(table, [ds])[str(ds)].hash for table in (RANKERS, EVALUATIONS, PROMOTIONS)]

    def publish(
        self, ds: date, seed: int, signal: float = 1.5, refreshed: bool = False, popular_is_right: bool = False
    ) -> None:
        import pandas as pd

        examples = pd.DataFrame(world(ds, seed, signal, refreshed, popular_is_right))
        for table, rows in ((TRAINING_EXAMPLES, examples), (VIDEOS, videos(ds))):
            frame = self.spark.createDataFrame(rows, spark_schema(table))
            self.lake.publish(frame, table, [ds], validate=lambda *_: [], job="test", seconds=lambda: 0.0, reads={})


@contextmanager
def promoted(spark: SparkSession, home: Path) -> Iterator[Night]:
    """Yields an installation in `home` whose first night has run to its end: it has a champion."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REELFEED_HOME", str(home))
        local = load_settings("local")
        night = Night(spark, with_home(replace(local, spark=replace(local.spark, shuffle_partitions=2)), home))
        night.publish(FIRST, seed=1)
        for job in (TRAIN, EVALUATE, PROMOTE):
            night.run(job, FIRST)
        yield night


def videos(ds: date) -> list[dict[str, Any]]:
    """The videos shown, of three tags."""
    about = {"author_id": 1, "tags": [], "duration_ms": None, "uploaded_on": None, "upload_type": "unknown"}
    about |= {"music_id": None, "is_visible": True, "is_advert": False, "ds": ds}
    return [{"video_id": video, "tag_id": video % 3, **about} for video in range(VIDEOS_SHOWN)]


def world(ds: date, seed: int, signal: float, refreshed: bool, popular_is_right: bool) -> dict[str, Any]:
    """Impressions whose long views follow two features, popularity knows one; nobody is ever not interested.

    Where `popular_is_right`, popularity is the chance of a long view itself, which no ranker can better.
    """
    generator = np.random.default_rng(seed)
    names = feature_names()
    matrix = generator.normal(size=(ROWS, len(names))).astype(np.float32)
    for name in categorical_names():
        matrix[:, names.index(name)] = generator.integers(0, 4, ROWS)
    known, unknown = 0, 1
    chance = 1 / (1 + np.exp(-(signal * (matrix[:, known] + matrix[:, unknown]) - 0.5)))
    long_view = generator.random(ROWS) < chance
    seen = {
        "long_view": long_view,
        "like": generator.random(ROWS) < chance / 5,
        "watch_seconds": 20 * long_view + generator.random(ROWS),
    }
    labels = np.column_stack([seen.get(name, np.zeros(ROWS)) for name in label_names()])
    matrix[generator.random(matrix.shape) < 0.02] = np.nan
    days = generator.integers(0, 8, ROWS)
    part = np.where(days < 4, "train", np.where(days < 6, "validate", "test"))
    popularity = chance if popular_is_right else 1 / (1 + np.exp(-np.nan_to_num(matrix[:, known])))
    start = datetime.combine(ds, datetime.min.time()) - timedelta(days=8)
    seconds = generator.choice(86_400, ROWS)
    frozen = ds - timedelta(days=2)
    return {
        "user_id": generator.integers(0, USERS, ROWS),
        "video_id": generator.integers(0, VIDEOS_SHOWN, ROWS),
        "shown_at": [start + timedelta(days=int(d), seconds=int(s)) for d, s in zip(days, seconds, strict=True)],
        "snapshot_ds": [frozen + timedelta(days=int(d) - 6) if refreshed or d < 6 else frozen for d in days],
        "part": part,
        "weight": np.ones(ROWS, np.float32),
        "examined": np.ones(ROWS, np.float32),
        "features": list(matrix),
        "labels": list(labels.astype(np.float32)),
        "popularity": popularity.astype(np.float64),
        "ds": [ds] * ROWS,
    }


def runs(night: Night, experiment: str) -> tuple[MlflowClient, dict[str, Run]]:
    """The runs of `experiment` in MLflow that have a key, by name."""
    from core.tracking import connect

    client = connect(night.settings)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    keyed = client.search_runs([found.experiment_id], "tags.`reelfeed.key` != ''")
    assert len({run.info.run_name for run in keyed}) == len(keyed)
    return client, {run.info.run_name: run for run in keyed}


def training(night: Night, ds: date) -> tuple[MlflowClient, Run]:
    """The MLflow run of the training of `ds`."""
    client, found = runs(night, "train_models")
    return client, found[f"for_you {ds}"]


def children(client: MlflowClient, run: Run) -> dict[str, Run]:
    """The runs below `run` by name."""
    found = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    assert len({child.info.run_name for child in found}) == len(found), "a head has two runs"
    return {child.info.run_name: child for child in found}
