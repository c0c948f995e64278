"""Train, evaluate, promote: on examples of a known world, through the real lake and the real MLflow."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from training_nights import FIRST, ROWS, SECOND, Night, children, promoted, training

from core.errors import ContractError
from core.settings import ROOT, Settings
from core.tables.cohort_calibrations import TABLE as COHORT_CALIBRATIONS
from core.tables.evaluations import TABLE as EVALUATIONS
from core.tables.promotions import TABLE as PROMOTIONS
from core.tables.rankers import TABLE as RANKERS
from core.tables.training_examples import TABLE as TRAINING_EXAMPLES
from features.catalog import feature_names
from jobs.evaluate import JOB as EVALUATE
from jobs.promote import JOB as PROMOTE
from jobs.train_ranker import JOB as TRAIN
from models import registry
from models.heads import HEADS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="module")
def night(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """A first night that has run to its end."""
    with promoted(spark, tmp_path_factory.mktemp("training") / "home") as night:
        yield night


def test_the_first_good_challenger_serves(night: Night) -> None:
    [promotion] = night.rows(PROMOTIONS, FIRST)
    [trained] = night.rows(RANKERS, FIRST)
    assert promotion["decision"] == "promoted"
    assert promotion["champion"] == promotion["challenger"] == trained["model"]
    served = registry.champion(night.settings, "for_you")
    assert served is not None
    assert (served[0].model_id, served[1]) == (trained["model"], trained["version"])
    assert served[0].features == feature_names()


def test_the_challenger_beats_popularity_where_it_knows_more(night: Night) -> None:
    difference = night.figure(FIRST, "challenger_minus_popularity", "primary")
    assert difference["low"] > 0
    assert difference["low"] <= difference["value"] <= difference["high"]
    assert night.figure(FIRST, "oracle", "gauc")["value"] == 1.0
    assert abs(night.figure(FIRST, "random", "gauc")["value"] - 0.5) < 0.05
    assert 0.9 < night.figure(FIRST, "challenger", "calibration_ratio")["value"] < 1.1


def test_calibration_is_told_by_head_and_cohort(night: Night) -> None:
    found = {(row["head"], row["cohort"]): row for row in night.rows(COHORT_CALIBRATIONS, FIRST)}
    everyone = found["long_view", "everyone"]
    assert everyone["low"] < 1 < everyone["high"]
    assert everyone["ratio"] == pytest.approx(night.figure(FIRST, "challenger", "calibration_ratio")["value"])
    tags = [found["long_view", f"tag {tag}"] for tag in range(3)]
    for column in ("rows", "predicted", "observed"):
        assert sum(tag[column] for tag in tags) == pytest.approx(everyone[column])
    assert all(tag["high"] - tag["low"] > everyone["high"] - everyone["low"] for tag in tags)


def test_labels_dealt_out_anew_are_not_predicted(night: Night) -> None:
    placebo = night.figure(FIRST, "placebo", "gauc")
    assert placebo["low"] <= 0.5 <= placebo["high"]


def test_a_head_nobody_ever_triggers_does_not_stop_the_night(night: Night) -> None:
    [trained] = night.rows(RANKERS, FIRST)
    ranker = registry.load_version(night.settings, "for_you", trained["version"])
    predictions = ranker.predict(np.zeros((3, len(ranker.features)), np.float32))
    place = ranker.heads.index("not_interested")
    assert (predictions[:, place] == predictions[0, place]).all()
    assert 0 < predictions[0, place] < 0.001


def test_figures_plots_and_model_are_in_one_mlflow_run(night: Night) -> None:
    client, run = training(night, FIRST)
    assert run.info.status == "FINISHED"
    assert run.data.params["lightgbm.num_leaves"] == "31"
    assert run.data.params["split.test_days"] == str(night.settings.split.test_days)
    assert run.data.tags["reads.training_examples"] == str(night.lake.open(TRAINING_EXAMPLES, 1).version())
    assert run.data.metrics["test.challenger.long_view.ndcg_at_5"] > 0
    assert run.data.tags["decision"] == "promoted"
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"importance.png", "evaluation.csv", "evaluation.html"} <= files


def test_a_training_names_the_version_and_hash_of_its_data(night: Night) -> None:
    _, run = training(night, FIRST)
    [data] = [used.dataset for used in run.inputs.dataset_inputs]
    [published] = [one for one in night.lake.history(TRAINING_EXAMPLES) if str(FIRST) in one.days]
    assert (data.name, data.digest) == ("training_examples", published.days[str(FIRST)].hash)
    assert json.loads(data.profile) == {"ds": str(FIRST), "rows": ROWS, "version": published.version, "made_of": {}}
    assert (run.data.tags["recipe"], run.data.tags["ds"]) == ("for_you", str(FIRST))


def test_every_head_is_a_child_run_with_its_figures_and_plots(night: Night) -> None:
    client, run = training(night, FIRST)
    found = children(client, run)
    assert set(found) == {head.name for head in HEADS}
    for name, child in found.items():
        assert child.info.status == "FINISHED"
        assert child.data.metrics["validate.rounds"] == run.data.metrics[f"validate.{name}.rounds"]
        assert {file.path for file in client.list_artifacts(child.info.run_id)} == {"test.png", "validate.png"}
    assert found["like"].data.metrics["test.challenger.auc"] == run.data.metrics["test.challenger.like.auc"]
    assert found["like"].data.params["model"] == run.data.params["model"]
    assert found["like"].data.params["averaged_with"] == "nothing"


def test_the_registered_version_is_described_by_its_card(night: Night) -> None:
    client, run = training(night, FIRST)
    [trained] = night.rows(RANKERS, FIRST)
    described = client.get_model_version("reelfeed-for_you", str(trained["version"])).description
    card = Path(client.download_artifacts(run.info.run_id, "model_card.md")).read_text("utf-8")
    assert described == card
    assert len(card) < 5000, "the registry takes no longer description"
    popularity = night.figure(FIRST, "popularity", "gauc")
    assert f"| popularity | {popularity['value']:.4f} [{popularity['low']:.4f}, {popularity['high']:.4f}] |" in card


def test_a_night_run_again_changes_nothing(night: Night) -> None:
    before = night.hashes(FIRST)
    versions = [night.lake.open(table).version() for table in (RANKERS, EVALUATIONS, PROMOTIONS)]
    client, run = training(night, FIRST)
    heads = {name: child.info.run_id for name, child in children(client, run).items()}
    for job in (TRAIN, EVALUATE, PROMOTE):
        night.run(job, FIRST)
    assert night.hashes(FIRST) == before
    assert training(night, FIRST)[1].info.run_id == run.info.run_id
    assert {name: child.info.run_id for name, child in children(client, run).items()} == heads
    assert [night.lake.open(table).version() for table in (RANKERS, EVALUATIONS, PROMOTIONS)] == versions


def test_a_second_night_is_compared_with_the_champion_and_leaves_the_first_as_it_was(night: Night) -> None:
    first = night.hashes(FIRST)
    night.publish(SECOND, seed=2)
    for job in (TRAIN, EVALUATE, PROMOTE):
        night.run(job, SECOND)
    difference = night.figure(SECOND, "challenger_minus_champion", "primary")
    [promotion] = night.rows(PROMOTIONS, SECOND)
    assert promotion["decision"] == ("promoted" if difference["low"] > 0 else "kept")
    assert any("champion" in reason for reason in promotion["reasons"])
    for job in (EVALUATE, PROMOTE):
        night.run(job, FIRST)
    assert night.hashes(FIRST) == first
    served = registry.champion(night.settings, "for_you")
    assert served is not None
    assert served[1] == promotion["champion_version"]


def test_a_challenger_worse_than_popularity_is_not_the_first_to_serve(spark: SparkSession, settings: Settings) -> None:
    night = Night(spark, settings)
    night.publish(FIRST, seed=3, signal=0.3, popular_is_right=True)
    for job in (TRAIN, EVALUATE):
        night.run(job, FIRST)
    with pytest.raises(ContractError, match="nothing was promoted"):
        night.run(PROMOTE, FIRST)
    assert registry.champion(settings, "for_you") is None
    assert night.lake.days(PROMOTIONS) == []


def test_lists_refreshed_inside_the_test_days_are_refused(night: Night) -> None:
    third = SECOND + timedelta(days=1)
    night.publish(third, seed=4, refreshed=True)
    night.run(TRAIN, third)
    with pytest.raises(ContractError, match="refreshed inside the test days"):
        night.run(EVALUATE, third)


def test_where_the_settings_say_so_tasks_of_the_cluster_train_it(night: Night) -> None:
    fourth = SECOND + timedelta(days=2)
    night.publish(fourth, seed=1)
    Night(night.spark, replace(night.settings, train_workers=2)).run(TRAIN, fourth)
    [alone], [together] = night.rows(RANKERS, FIRST), night.rows(RANKERS, fourth)
    same = ("feature_set", "train_rows", "validate_rows")
    assert [alone[name] for name in same] == [together[name] for name in same]
    assert alone["model"] != together["model"], "the trees of two tasks are others"
    _, run = training(night, fourth)
    assert run.data.params["train_workers"] == "2"
    assert run.data.metrics["validate.long_view.rounds"] > 1


def test_declaring_the_jobs_loads_no_heavy_library() -> None:
    code = """
import sys
import jobs.train_ranker, jobs.evaluate, jobs.promote
heavy = {"pyspark", "pandas", "numpy", "lightgbm", "mlflow", "pyarrow"} & set(sys.modules)
sys.exit(f"loaded {heavy}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_served_model_predicts_as_the_ranker_away_from_the_repository(night: Night, tmp_path: Path) -> None:
    [trained] = night.rows(RANKERS, FIRST)
    ranker = registry.load_version(night.settings, "for_you", trained["version"])
    matrix = np.random.default_rng(0).normal(size=(20, len(ranker.features))).astype(np.float32)
    np.save(tmp_path / "matrix.npy", matrix)
    code = f"""
import mlflow, numpy as np
mlflow.set_tracking_uri({night.settings.tracking_uri!r})
model = mlflow.pyfunc.load_model("models:/reelfeed-for_you/{trained["version"]}")
np.save("predictions.npy", model.predict(np.load("matrix.npy")))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.load(tmp_path / "predictions.npy"), ranker.predict(matrix))
