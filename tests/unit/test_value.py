"""Value weights: every fault of a recipe in one error, and the sum that feeds are ordered by."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import UsageError
from core.recipe import load_recipe, recipe_names
from models.heads import HEADS, head_names
from models.value import check_value, check_weights, values

GOOD = dict.fromkeys(head_names(), 0.0) | {"long_view": 1.0, "like": 0.6, "watch_seconds": 0.01, "not_interested": -8.0}


def test_value_is_the_weighted_sum() -> None:
    predictions = np.zeros((2, len(HEADS)))
    predictions[:, :4] = [[0.5, 0.1, 20.0, 0.01], [0.2, 0.0, 5.0, 0.5]]
    assert values(predictions, GOOD) == pytest.approx([0.5 + 0.06 + 0.2 - 0.08, 0.2 + 0.05 - 4.0])


def test_weights_follow_names_not_the_order_of_the_file() -> None:
    predictions = np.random.default_rng(1).random((5, len(HEADS)))
    assert np.array_equal(values(predictions, GOOD), values(predictions, dict(reversed(GOOD.items()))))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"like": -0.5}, "must be >= 0"),
        ({"not_interested": 1.0}, "must be <= 0"),
        ({"long_view": 11.0}, "its limit is 10"),
        ({"long_view": float("nan")}, "its limit is 10"),
        ({"long_veiw": 1.0}, "did you mean 'long_view'"),
    ],
)
def test_a_bad_weight_is_named(change: dict[str, float], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        check_weights(GOOD | change, "conf/feeds/for_you.toml")


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(UsageError) as raised:
        check_weights({"like": -1.0, "not_interested": 9.0}, "somewhere")
    for told in ("'long_view' has no weight", "'watch_seconds' has no weight", "'like' is -1", "'not_interested' is 9"):
        assert told in str(raised.value)


def test_a_weight_of_zero_switches_a_head_off() -> None:
    check_weights(GOOD | {"like": 0.0, "not_interested": 0.0}, "somewhere")


@pytest.mark.parametrize(
    ("varied", "told"),
    [
        ({"like": 1.0}, "above 0 and below 1"),
        ({"like": -0.1}, "above 0 and below 1"),
        ({"share": 0.2}, "has no weight to vary"),
        ({"long_veiw": 0.2}, "has no weight to vary"),
        ({"not_interested": 0.5}, "reaches 60, beyond its limit"),
    ],
)
def test_a_bad_share_to_vary_by_is_named(varied: dict[str, float], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        check_weights(GOOD | {"not_interested": -40.0}, "conf/feeds/for_you.toml", varied=varied)


@pytest.mark.parametrize("name", recipe_names())
def test_the_recipes_we_ship_are_sound(name: str) -> None:
    check_value(load_recipe(name))
