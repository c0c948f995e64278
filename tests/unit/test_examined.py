import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.boosting import Plan, Rows
from models.calibration import NONE
from models.estimate import Estimate
from models.examination import Examination
from models.examined import at_places, derivatives, growing, loss
from models.heads import HEADS
from models.ranker import HeadModel, Ranker, trees

FOUND = Examination((1, 2, 5), (Estimate(1.0, 1.0, 1.0), Estimate(0.6, 0.5, 0.7), Estimate(0.2, 0.1, 0.3)))
LONG_VIEW = next(head for head in HEADS if head.name == "long_view")


@given(st.floats(-6, 6), st.sampled_from([0.0, 1.0]), st.floats(0.05, 1.0))
def test_the_slope_is_the_derivative_of_the_loss(raw: float, label: float, examined: float) -> None:
    step = 1e-5
    at = (np.array([label]), np.array([examined]))
    slope, curvature = derivatives(np.array([raw]), *at)
    numeric = (loss(np.array([raw + step]), *at) - loss(np.array([raw - step]), *at)) / (2 * step)
    assert np.allclose(slope, numeric, atol=1e-6)
    assert curvature[0] > 0


def test_a_row_that_is_surely_looked_at_has_the_log_loss_of_any_binary_head() -> None:
    raw, label = np.array([-2.0, 0.3, 1.5]), np.array([1.0, 0.0, 1.0])
    chance = 1 / (1 + np.exp(-raw))
    slope, curvature = derivatives(raw, label, np.ones(3))
    assert np.allclose(slope, chance - label)
    assert np.allclose(curvature, chance * (1 - chance))


def test_places_have_the_examination_of_their_span() -> None:
    assert at_places(FOUND, np.array([1, 2, 4, 5, 90])).tolist() == [1.0, 0.6, 0.6, 0.2, 0.2]


def test_boosters_tell_what_a_looked_at_video_would_bring_though_good_ones_stand_where_few_look() -> None:
    draw = np.random.default_rng(5)
    rows = 40_000
    good = draw.random(rows) < 0.5
    place = np.where(draw.random(rows) < np.where(good, 0.8, 0.2), 5, 1)
    truth = np.where(good, 0.6, 0.4)
    came = draw.random(rows) < at_places(FOUND, place) * truth
    both = np.column_stack([good, place]).astype(np.float32)
    learnt = Rows(both, came[:, None].astype(np.float32), np.ones(rows, np.float32))
    parameters = {"learning_rate": 0.2, "verbosity": -1, "num_threads": 1, "seed": 1, "deterministic": True}
    plan = Plan(("good", "place"), (), (LONG_VIEW,), (4,), parameters, 60, 10)

    booster = growing(FOUND, "place")(learnt, learnt, plan)["long_view"]
    ranker = Ranker(plan.features, (), (HeadModel("long_view", "binary", trees(booster), 0.0, NONE),))
    found = ranker.predict(np.array([[1, 1], [1, 5], [0, 1], [0, 5]], np.float32))[:, 0]

    assert np.allclose(found, [0.6, 0.6, 0.4, 0.4], atol=0.04)
    assert came[good].mean() < came[~good].mean()
