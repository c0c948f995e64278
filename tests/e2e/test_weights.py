"""`reelfeed weights` on a trained installation: told as text, kept in MLflow with its plot."""

from __future__ import annotations

from datetime import timedelta

import pytest
from worlds import EVE

from core.errors import MissingDataError
from core.recipe import load_recipe
from core.settings import Settings
from core.tracking import connect
from models.heads import head_names
from reelfeed.weights import EXPERIMENT, look_for_weights

RECIPE = load_recipe("for_you")


def test_weights_are_told_and_kept_with_their_trade_off(trained: Settings) -> None:
    told = look_for_weights(trained, RECIPE, EVE, "like", tolerance=0.05, trials=5)
    client = connect(trained)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    [run] = client.search_runs([experiment.experiment_id])
    assert run.data.metrics["weight.long_view"] == RECIPE.value["long_view"]
    for name in head_names():
        assert f"{name} = {run.data.metrics[f'weight.{name}']:.4g}" in told
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"trade_off.png", "weights.txt"}


def test_a_day_without_a_training_set_is_named(trained: Settings) -> None:
    with pytest.raises(MissingDataError, match="training_examples"):
        look_for_weights(trained, RECIPE, EVE - timedelta(days=1), "like", tolerance=0.05, trials=1)
