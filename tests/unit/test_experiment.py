"""An experiment: refused before any work where it makes no sense, else judged beside the champion and never served."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from training_nights import FIRST, Night, children, promoted, runs, training

from core.errors import UsageError
from core.settings import Settings
from core.tables.experiments import TABLE as EXPERIMENTS
from core.tracking import connect
from jobs._registry import all_jobs, all_tables
from jobs.run_experiment import JOB as RUN_EXPERIMENT
from models.experiment import read_experiment
from reelfeed.__main__ import cli

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

WIDE = {"name": "wide trees", "heads": ["like", "long_view"], "num_leaves": 63, "rounds": 30}
SMALL = {"heads": ["long_view", "like"], "num_leaves": 4, "rounds": 30, "leave_out": ["author_reception"]}


Serving = tuple[dict[str, int], dict[str, str], dict[str, str], int]


@pytest.fixture(scope="module")
def trained(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """A night with a champion."""
    with promoted(spark, tmp_path_factory.mktemp("experiment") / "home") as night:
        yield night


@pytest.fixture(scope="module")
def served(trained: Night) -> Serving:
    return serving(trained)


@pytest.fixture(scope="module")
def night(trained: Night, served: Serving) -> Night:
    """The same night after two experiments."""
    for experiment in (WIDE, SMALL):
        trained.run(RUN_EXPERIMENT, FIRST, json.dumps(experiment))
    return trained


def serving(night: Night) -> Serving:
    """All that a night is served from: tables but experiments by version, aliases, tags and models registered."""
    there = [table for table in all_tables().values() if night.lake.exists(table) and table != EXPERIMENTS]
    client = connect(night.settings)
    model = client.get_registered_model("reelfeed-for_you")
    versions = {table.name: night.lake.open(table).version() for table in there}
    return versions, model.aliases, model.tags, len(client.search_model_versions("name = 'reelfeed-for_you'"))


def test_nothing_that_serves_is_touched(night: Night, served: Serving) -> None:
    assert serving(night) == served
    readers = [job.name for job in all_jobs().values() if EXPERIMENTS in job.reads]
    assert readers == ["run_experiment"]


def test_two_experiments_and_the_training_are_runs_that_compare(night: Night) -> None:
    _, experiments = runs(night, "experiments")
    _, nightly = training(night, FIRST)
    wide, small = experiments["wide trees"], experiments[read_experiment(json.dumps(SMALL)).hash]
    assert len(experiments) == 2
    assert wide.data.metrics.keys() == small.data.metrics.keys()
    of_champion = {name for name in wide.data.metrics if "champion" in name}
    assert wide.data.metrics.keys() - of_champion < nightly.data.metrics.keys()
    assert "test.challenger_minus_champion.long_view.primary.low" in of_champion
    assert wide.data.metrics["test.champion.long_view.gauc"] == nightly.data.metrics["test.challenger.long_view.gauc"]
    assert nightly.data.params.keys() == wide.data.params.keys() - {"changes"}
    told = [[run.data.params[name] for run in (wide, small)] for name in ("lightgbm.num_leaves", "features")]
    assert told[0] == ["63", "4"]
    assert int(told[1][0]) > int(told[1][1])
    assert [used.dataset.digest for used in wide.inputs.dataset_inputs] == [
        used.dataset.digest for used in nightly.inputs.dataset_inputs
    ]


def test_an_experiment_has_heads_as_children_and_a_card(night: Night) -> None:
    client, experiments = runs(night, "experiments")
    run = experiments["wide trees"]
    heads = children(client, run)
    assert set(heads) == {"like", "long_view"}
    auc = heads["like"].data.metrics["test.challenger.auc"]
    assert auc == run.data.metrics["test.challenger.like.auc"]
    assert {file.path for file in client.list_artifacts(heads["like"].info.run_id)} == {"test.png", "validate.png"}
    card = Path(client.download_artifacts(run.info.run_id, "model_card.md")).read_text("utf-8")
    assert len(card) < 5000, "the registry takes no longer description"
    assert f"Ranker {run.data.params['model']}" in card
    for row in ("| champion |", "| popularity |", "| challenger_minus_popularity | +", f"| like | {auc:.4f} |"):
        assert row in card


def test_the_same_again_is_the_same_run_and_the_same_table_under_a_new_name(night: Night) -> None:
    version, (_, before) = night.lake.open(EXPERIMENTS).version(), runs(night, "experiments")
    night.run(RUN_EXPERIMENT, FIRST, json.dumps(SMALL))
    assert night.lake.open(EXPERIMENTS).version() == version
    night.run(RUN_EXPERIMENT, FIRST, json.dumps(SMALL | {"name": "small trees"}))
    _, after = runs(night, "experiments")
    assert {run.info.run_id for run in after.values()} == {run.info.run_id for run in before.values()}
    assert set(after) == {"wide trees", "small trees"}
    names = {row["name"] for row in night.rows(EXPERIMENTS, FIRST)}
    assert names == {"wide trees", "small trees"}


def test_without_the_head_that_orders_lists_no_list_is_judged(night: Night) -> None:
    night.run(RUN_EXPERIMENT, FIRST, json.dumps({"name": "likes", "heads": ["like"], "take": ["content"], "rounds": 3}))
    client, experiments = runs(night, "experiments")
    run = experiments["likes"]
    assert not any("gauc" in name for name in run.data.metrics)
    assert run.data.metrics["test.challenger.like.auc"] > 0
    card = Path(client.download_artifacts(run.info.run_id, "model_card.md")).read_text("utf-8")
    assert "Not judged: head long_view was not trained." in card


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ('{"heads": ["likes"]}', "heads names 'likes', there are long_view, like,"),
        ('{"leave_out": ["sesion"]}', "leave_out names 'sesion', there are author_reception,"),
        ('{"take": ["content"], "leave_out": ["content"]}', "leave no feature"),
        ('{"num_leaf": 3}', "unknown key 'num_leaf' (did you mean 'num_leaves'?)"),
        ('{"num_leaves": 1, "learning_rate": 2}', "num_leaves must be from 2 to 255, not 1; learning_rate must be"),
        ('{"learning_rate": NaN}', "learning_rate must be from 0.001 to 1, not nan"),
        ('{"rounds": 2.5}', "rounds must be a int, not 2.5"),
        ('{"name": "$(date)"}', "name '$(date)' must be at most 60 letters"),
        ("[]", "not a JSON object"),
        ("{", "not JSON"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(settings: Settings, given: str, said: str) -> None:
    refused = CliRunner().invoke(cli, ["run", "run_experiment", "--ds", str(FIRST), "--experiment", given])
    assert isinstance(refused.exception, UsageError)
    assert said in refused.exception.what
    assert not settings.home_path.exists()


def test_a_night_takes_no_experiment(settings: Settings) -> None:
    refused = CliRunner().invoke(cli, ["run", "train_ranker", "--ds", str(FIRST), "--experiment", "{}"])
    assert isinstance(refused.exception, UsageError)
    assert "run_experiment alone" in refused.exception.what


def test_what_is_not_given_changes_nothing() -> None:
    nothing = read_experiment("")
    assert nothing.changes == {}
    assert read_experiment('{"name": "again", "heads": [], "rounds": null}').hash == nothing.hash
    assert read_experiment(json.dumps(WIDE)).hash != nothing.hash
    assert read_experiment(json.dumps(WIDE)).lightgbm == {"num_leaves": 63}
