"""Where reelfeed runs: paths, Spark, the clock of the app, time splits. One TOML file of conf/ a profile."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.config import load

ROOT = Path(__file__).resolve().parent.parent
CONF = Path(os.environ.get("REELFEED_CONF", ROOT / "conf"))


@dataclass(frozen=True)
class SparkSettings:
    """`master` is a Spark master URL; `extra` any further Spark properties, taken as they are."""

    master: str
    shuffle_partitions: int
    driver_memory: str
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SplitSettings:
    """The strict time split of training data, in whole days counted back from the last day.

    test: the last `test_days`; validate (early stopping, then calibration): the `validate_days` before;
    train: all earlier days but the first `warm_up_days`. Impressions younger at the end of their part than the
    heads' label maturity are dropped from it (`embargo_hours`). Of the train part about `train_rows_at_most`
    rows are drawn, weighted to stand for all; 0 keeps every one.
    """

    test_days: int
    validate_days: int
    warm_up_days: int
    embargo_hours: int
    train_rows_at_most: int


@dataclass(frozen=True)
class ServingSettings:
    """The key-value store that feeds are handed to, and how long what was published is kept.

    `store_uri` is empty (folder `store` below the home), a folder, or redis://HOST:PORT/DB. The feeds of a
    version are spread over `parts` hashes. The store forgets a feed `ttl_hours` after it was written. What was
    published in the last `rollback_days` can be restored: `reelfeed vacuum` keeps its files.
    """

    store_uri: str
    parts: int
    ttl_hours: int
    rollback_days: int


@dataclass(frozen=True)
class Settings:
    """Everything that differs from one installation to the next.

    `home` holds the lake, MLflow's store, the index of embeddings and Data Docs (absolute, or relative to the
    repository). `publish_hour` is the local hour by which last night's feeds are served: impressions shown before it
    saw the feed of the night before.
    `seed` feeds every generator. `threads` is LightGBM's thread count in one process. `train_workers` tasks of the
    Spark cluster fit the ranker together, each on `spark.task.cpus` threads; below 2 it is fitted here, in one process.
    A feature group whose longest window holds at least `carry_from_tiles` tiles carries its sums from night to night;
    fewer are summed anew.
    """

    home: str
    publish_hour: int
    history_days: int
    seed: int
    threads: int
    train_workers: int
    carry_from_tiles: int
    spark: SparkSettings
    split: SplitSettings
    serving: ServingSettings
    mlflow_uri: str = ""
    lake_uri: str = ""

    @property
    def home_path(self) -> Path:
        return ROOT / os.environ.get("REELFEED_HOME", self.home)

    @property
    def lake(self) -> str:
        return self.lake_uri or str(self.home_path / "lake")

    @property
    def store(self) -> str:
        return self.serving.store_uri or str(self.home_path / "store")

    @property
    def index(self) -> Path:
        return self.home_path / "index"

    @property
    def tracking_uri(self) -> str:
        return self.mlflow_uri or f"sqlite:///{self.home_path / 'mlflow.db'}"


def load_settings(profile: str = "") -> Settings:
    """Returns the settings of `profile`: the argument, else the variable REELFEED_PROFILE, else local.

    Raises UsageError for an unknown profile or key.
    """
    return load(Settings, CONF / f"{profile or os.environ.get('REELFEED_PROFILE', 'local')}.toml")


def with_home(settings: Settings, home: Path) -> Settings:
    """Returns `settings` with another home, for a scratch installation."""
    return replace(settings, home=str(home))
