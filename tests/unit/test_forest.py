"""The forest and LightGBM agree on whatever LightGBM makes, or the forest says that it does not cover it."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.forest import MOST_LEAVES, uncovered
from models.scorer import scorer

FEATURES = 5
CODE, WHOLE = 3, 4


def matrix(seed: int, rows: int) -> NDArray[np.float32]:
    """Three real columns, one of codes, one of small whole numbers; a tenth unknown, a tenth nothing or nearly so."""
    draw = np.random.default_rng(seed)
    made = draw.normal(size=(rows, FEATURES)).astype(np.float32)
    made[:, CODE] = draw.integers(-2, 70, rows)
    made[:, WHOLE] = draw.integers(0, 4, rows)
    for odd in (np.nan, 0.0, 1e-36, -1e-36):
        made[draw.random(made.shape) < 0.05] = odd
    return made


def booster(seed: int, rows: int, rounds: int, **parameters: object) -> lightgbm.Booster:
    features = matrix(seed, rows)
    draw = np.random.default_rng(seed + 1)
    known = np.nan_to_num(features)
    wave = np.sin(3 * known[:, 0]) + known[:, 1] * (known[:, CODE] % 3 == 0) + (known[:, WHOLE] == 2)
    label = (wave + draw.normal(size=rows) > 0).astype(float)
    told = {"verbosity": -1, "num_threads": 1, "min_data_in_leaf": 3, "min_data_per_group": 3, "cat_smooth": 1.0}
    data = lightgbm.Dataset(features, label, categorical_feature=[CODE], params={**told, **parameters})
    return lightgbm.train({**told, **parameters}, data, rounds)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 1000),
    rows=st.integers(30, 700),
    judged=st.integers(1, 200),
    rounds=st.integers(1, 8),
    leaves=st.integers(2, MOST_LEAVES),
    bins=st.sampled_from([3, 63, 255]),
    objective=st.sampled_from(["binary", "regression"]),
    missing=st.sampled_from([{}, {"use_missing": False}, {"zero_as_missing": True}]),
    one_hot=st.sampled_from([1, 100]),
)
def test_it_predicts_what_lightgbm_predicts(
    seed: int,
    rows: int,
    judged: int,
    rounds: int,
    leaves: int,
    bins: int,
    objective: str,
    missing: dict[str, bool],
    one_hot: int,
) -> None:
    made = [
        booster(
            seed + i,
            rows,
            rounds,
            objective=objective,
            num_leaves=leaves,
            max_bin=bins,
            max_cat_to_onehot=one_hot,
            **missing,
        )
        for i in range(2)
    ]
    texts = tuple(one.model_to_string() for one in made)
    assert [uncovered(text) for text in texts] == ["", ""]
    asked = matrix(seed + 7, judged)
    expected = np.column_stack([one.predict(asked, num_threads=1) for one in made])
    np.testing.assert_allclose(scorer(texts).predict(asked), expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"objective": "regression", "linear_tree": True}, "its leaves are linear"),
        ({"objective": "regression", "num_leaves": 90}, "it has trees of 90 leaves, more than 64"),
        ({"objective": "poisson"}, "its objective is poisson"),
        ({"objective": "multiclass", "num_class": 2}, "it has several trees a round"),
        (
            {"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
            "it is a random forest",
        ),
    ],
    ids=lambda value: value.replace(" ", "_") if isinstance(value, str) else "",
)
def test_what_it_does_not_cover_it_says(parameters: dict[str, object], reason: str) -> None:
    assert uncovered(booster(1, 600, 3, **parameters).model_to_string()) == reason


def test_models_that_are_not_covered_are_scored_by_lightgbm_beside_those_that_are(
    caplog: pytest.LogCaptureFixture,
) -> None:
    deep, plain = booster(1, 600, 3, objective="regression", num_leaves=90), booster(2, 600, 3, objective="binary")
    asked = matrix(3, 100)
    found = scorer((deep.model_to_string(), plain.model_to_string())).predict(asked)
    assert np.array_equal(found[:, 0], deep.predict(asked))
    np.testing.assert_allclose(found[:, 1], plain.predict(asked), rtol=0, atol=1e-15)
    assert "model 0 of 2 is scored by LightGBM itself" in caplog.text


def test_a_tree_of_one_leaf_and_no_rows_at_all() -> None:
    alone = booster(1, 40, 2, objective="regression", min_data_in_leaf=40)
    assert "num_leaves=1" in alone.model_to_string()
    asked = matrix(3, 3)
    assert np.array_equal(scorer((alone.model_to_string(),)).predict(asked)[:, 0], alone.predict(asked))
    assert scorer((alone.model_to_string(),)).predict(asked[:0]).shape == (0, 1)
