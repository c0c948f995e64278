"""Evaluate and promote with planted rankers, through the real lake and the real MLflow; decisions by people."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from core import tracking
from core.errors import ContractError, MissingDataError, UsageError
from core.job import Job, JobContext
from core.lake import Lake, spark_schema
from core.recipe import load_recipe
from core.settings import Settings, load_settings, with_home
from core.table import Table
from core.tables.cohort_differences import TABLE as COHORT_DIFFERENCES
from core.tables.evaluations import TABLE as EVALUATIONS
from core.tables.promotions import TABLE as PROMOTIONS
from core.tables.rankers import TABLE as RANKERS
from core.tables.training_examples import TABLE as TRAINING_EXAMPLES
from core.tables.videos import TABLE as VIDEOS
from features.catalog import categorical_names, feature_names
from jobs.evaluate import JOB as EVALUATE
from jobs.promote import JOB as PROMOTE
from models import registry
from models.calibration import NONE
from models.heads import HEADS
from models.labels import label_names
from models.ranker import DECLARATION, HeadModel, Ranker, trees
from reelfeed.promote import promote

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RECIPE = load_recipe("for_you")
DAYS = [date(2026, 1, day) for day in (10, 11, 12, 13, 14)]
ROWS, USERS = 6_000, 250
KNOWN = [name for name in feature_names() if name not in categorical_names()][:2]


@dataclass(frozen=True)
class House:
    """An installation with rows to be judged on for every day of DAYS, and rankers that know one or two features.

    The strong ranker is challenger of the second day, the weak one of all others.
    """

    spark: SparkSession
    settings: Settings
    lake: Lake
    weak: int
    strong: int

    def run(self, ds: date, *jobs: Job) -> None:
        for job in jobs:
            job.run(JobContext(job, (ds,), self.settings, RECIPE, "", "", self.lake))

    def ledger(self, ds: date) -> list[dict[str, Any]]:
        return sorted(self.lake.read_arrow(PROMOTIONS, [ds]).to_pylist(), key=lambda row: row["number"])

    def publish(self, table: Table, rows: Any) -> None:
        frame = self.spark.createDataFrame(rows, spark_schema(table))
        self.lake.publish(frame, table, DAYS, validate=lambda *_: [], job="test", seconds=lambda: 0.0, reads={})

    def aliases(self) -> dict[str, int]:
        found = tracking.connect(self.settings).get_registered_model("reelfeed-for_you").aliases
        return {alias: int(version) for alias, version in found.items()}


def planted(names: list[str], matrix: np.ndarray, long_view: np.ndarray) -> Ranker:
    import lightgbm

    data = lightgbm.Dataset(matrix[:, : len(names)], long_view)
    booster = lightgbm.train({"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": 1}, data, 30)
    constant = {head.name: HeadModel(head.name, head.kind, "", 0.0, NONE) for head in HEADS}
    learned = HeadModel("long_view", "binary", trees(booster), 0.0, NONE)
    return Ranker(tuple(names), (), tuple((constant | {"long_view": learned}).values()))


def shown(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The two features that long views follow, (rows, 2), and the long views."""
    generator = np.random.default_rng(seed)
    matrix = generator.normal(size=(ROWS, 2)).astype(np.float32)
    return matrix, generator.random(ROWS) < 1 / (1 + np.exp(-1.5 * matrix.sum(axis=1)))


def examples(ds: date, seed: int) -> dict[str, Any]:
    known, long_view = shown(seed)
    matrix = np.zeros((ROWS, len(feature_names())), np.float32)
    matrix[:, [feature_names().index(name) for name in KNOWN]] = known
    labels = np.zeros((ROWS, len(label_names())), np.float32)
    labels[:, label_names().index("long_view")] = long_view
    return {
        "user_id": np.arange(ROWS) % USERS,
        "video_id": np.arange(ROWS) // USERS,
        "shown_at": [datetime.combine(ds, datetime.min.time(), UTC) - timedelta(hours=20)] * ROWS,
        "snapshot_ds": [ds - timedelta(days=2)] * ROWS,
        "part": ["test"] * ROWS,
        "weight": np.ones(ROWS, np.float32),
        "examined": np.ones(ROWS, np.float32),
        "features": list(matrix),
        "labels": list(labels),
        "popularity": np.random.default_rng(seed).random(ROWS),
        "ds": [ds] * ROWS,
    }


@pytest.fixture(scope="module")
def house(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """After three nights: a weak ranker is the first champion, a strong one follows, the weak one asks again."""
    import pandas as pd

    home = tmp_path_factory.mktemp("promotion") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REELFEED_HOME", str(home))
        local = load_settings("local")
        settings = with_home(replace(local, spark=replace(local.spark, shuffle_partitions=2)), home)
        versions = []
        with tracking.run(settings, "tests", "planted"):
            for names in (KNOWN[:1], KNOWN):
                ranker = planted(names, *shown(seed=1))
                versions.append(registry.log_ranker(settings, RECIPE.name, ranker))
        house = House(spark, settings, Lake(settings.lake), *versions)
        house.publish(TRAINING_EXAMPLES, pd.concat([pd.DataFrame(examples(ds, seed=2)) for ds in DAYS]))
        video = dict.fromkeys(VIDEOS.column_names) | {"video_id": 0, "author_id": 1, "tag_id": 1, "tags": []}
        video |= {"upload_type": "unknown", "is_visible": True, "is_advert": False}
        house.publish(VIDEOS, [video | {"ds": ds} for ds in DAYS])
        models = registry.versions(settings, RECIPE.name)
        told = {"recipe": RECIPE.name, "feature_set": "f", "train_rows": 1, "validate_rows": 1}
        asking = zip(DAYS, (house.weak, house.strong, house.weak, house.weak, house.weak), strict=True)
        house.publish(RANKERS, [told | {"ds": ds, "version": one, "model": models[one]} for ds, one in asking])
        for ds in DAYS[:3]:
            house.run(ds, EVALUATE, PROMOTE)
        yield house


def copy(house: House, home: Path) -> House:
    """The same installation, to be changed."""
    shutil.copytree(house.settings.home_path, home)
    settings = replace(house.settings, lake_uri=str(home / "lake"), mlflow_uri=f"sqlite:///{home / 'mlflow.db'}")
    return replace(house, settings=settings, lake=Lake(settings.lake))


def test_the_better_one_follows_and_the_weaker_one_does_not(house: House) -> None:
    first, second, third = (house.ledger(ds)[0] for ds in DAYS[:3])
    assert (first["decision"], first["champion_version"]) == ("promoted", house.weak)
    assert (second["decision"], second["champion_version"]) == ("promoted", house.strong)
    assert (third["decision"], third["champion_version"]) == ("kept", house.strong)
    assert "is better than champion" in second["reasons"][0]
    assert "not shown to be better than champion" in third["reasons"][0]
    assert "everyone" in " ".join(third["reasons"]), "it is told who would be harmed"
    assert (house.aliases()["champion"], house.aliases()["previous"]) == (house.strong, house.weak)
    assert house.lake.read_arrow(COHORT_DIFFERENCES, [DAYS[0]]).num_rows == 0
    [everyone] = [
        r for r in house.lake.read_arrow(COHORT_DIFFERENCES, [DAYS[1]]).to_pylist() if r["cohort"] == "everyone"
    ]
    assert 0 < everyone["low"] < everyone["value"] < everyone["high"]
    changed = [r for r in house.lake.read_arrow(EVALUATIONS, [DAYS[1]]).to_pylist() if r["metric"] == "changed@5"]
    assert 0 < changed[0]["low"] < changed[0]["value"] < 1


def test_people_overrule_the_gate_and_a_night_run_again_lets_it_stand(house: House, tmp_path: Path) -> None:
    mine, ds = copy(house, tmp_path / "home"), DAYS[2]
    told = promote(mine.settings, RECIPE, mine.weak, ds, "  the strong one \n shows one author alone ")
    assert f"version {mine.weak}" in told
    assert f"in place of version {mine.strong}" in told
    gates, people = mine.ledger(ds)
    assert gates["decision"] == "kept"
    assert (people["decision"], people["champion_version"]) == ("overridden", mine.weak)
    assert people["reasons"] == ["the strong one shows one author alone"]
    assert (mine.aliases()["champion"], mine.aliases()["previous"]) == (mine.weak, mine.strong)
    before = mine.lake.partitions(PROMOTIONS, [ds])
    mine.run(ds, PROMOTE)
    assert mine.lake.partitions(PROMOTIONS, [ds]) == before
    assert (mine.aliases()["champion"], mine.aliases()["previous"]) == (mine.weak, mine.strong)
    assert registry.champion_version(mine.settings, RECIPE.name, before=DAYS[3]) == mine.weak
    assert registry.champion_version(mine.settings, RECIPE.name, before=ds) == mine.strong
    promote(mine.settings, RECIPE, mine.strong, ds, "it was the rule, not the model")
    assert [row["number"] for row in mine.ledger(ds)] == [0, 1, 2]
    assert (mine.aliases()["champion"], mine.aliases()["previous"]) == (mine.strong, mine.weak)


@pytest.mark.parametrize(
    ("version", "ds", "reason", "told"),
    [
        (1, DAYS[2], " \n ", "only with a reason"),
        (7, DAYS[2], "why", "no ranker version 7 of 'for_you'(.|\n)*choices: 1, 2"),
        (1, DAYS[1], "why", "last decided on 2026-01-12"),
        (2, DAYS[2], "why", "version 2 of 'for_you' is champion already"),
    ],
    ids=["no reason", "unknown", "a day too old", "champion already"],
)
def test_people_are_told_what_cannot_be(house: House, version: int, ds: date, reason: str, told: str) -> None:
    before = house.lake.partitions(PROMOTIONS, DAYS), house.aliases()
    with pytest.raises(UsageError, match=told):
        promote(house.settings, RECIPE, version, ds, reason)
    assert (house.lake.partitions(PROMOTIONS, DAYS), house.aliases()) == before


def damage(house: House, version: int) -> None:
    """Cuts the declaration of the ranker `version` short, as a full disk does."""
    import mlflow

    tracking.connect(house.settings)
    folder = mlflow.artifacts.download_artifacts(f"models:/reelfeed-for_you/{version}")
    file = Path(folder) / "artifacts" / registry.ARTIFACT / DECLARATION
    file.write_text(file.read_text("utf-8")[:100], "utf-8")


def test_a_champion_that_no_longer_loads_goes_on_and_people_are_told_how_to_replace_it(
    house: House, tmp_path: Path
) -> None:
    mine, ds = copy(house, tmp_path / "home"), DAYS[3]
    broken = registry.load_version(mine.settings, RECIPE.name, mine.strong)
    with tracking.run(mine.settings, "tests", "to be damaged"):
        twin = replace(broken, models=(replace(broken.models[0], constant=0.5), *broken.models[1:]))
        version = registry.log_ranker(mine.settings, RECIPE.name, twin)
    promote(mine.settings, RECIPE, version, ds, "a twin")
    damage(mine, version)
    later = DAYS[4]
    with pytest.raises(ContractError, match=f"can no longer score(.|\n)*--model {mine.weak} --ds {later}"):
        mine.run(later, EVALUATE, PROMOTE)
    systems = {row["system"] for row in mine.lake.read_arrow(EVALUATIONS, [later]).to_pylist()}
    assert "challenger_minus_popularity" in systems, "the challenger is judged all the same"
    assert "champion" not in systems
    assert later not in mine.lake.days(PROMOTIONS)
    assert mine.aliases()["champion"] == version
    promote(mine.settings, RECIPE, mine.weak, later, "the champion's files are lost")
    assert mine.aliases()["champion"] == mine.weak
    with pytest.raises(MissingDataError, match=f"version {version} of 'for_you' is not to be had"):
        promote(mine.settings, RECIPE, version, later, "again")
