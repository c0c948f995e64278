"""Estimates of a policy's value: equal to sums made by hand, refused without propensities, true to the world."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import write_deltalake

from core.errors import ContractError, MissingDataError, UsageError
from core.lake import Lake
from core.recipe import load_recipe
from core.settings import Settings
from core.table import Table
from core.tables.feeds import TABLE as FEEDS
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.videos import TABLE as VIDEOS
from models.off_policy import Floats, LoggedRows, policy_value
from reelfeed.off_policy import PUBLISHED, UNIFORM, policy_values
from reelfeed.open_bandit import told
from sim.arrivals import arrivals_on
from sim.catalogue import live_on
from sim.policy import slots_on
from sim.user import expected_long_view
from sim.world import WorldConfig

THREE = LoggedRows(
    unit=np.array([7, 7, 9]),
    reward=np.array([1.0, 0.0, 2.0]),
    propensity=np.array([0.5, 0.25, 0.8]),
    evaluation=np.array([0.25, 0.25, 0.4]),
    predicted=np.array([0.5, 0.5, 1.0]),
    expected=np.array([0.6, 0.4, 0.8]),
)
"""Weights are .25 / .5 = .5, .25 / .25 = 1 and .4 / .8 = .5."""


def test_the_estimates_are_those_made_by_hand() -> None:
    found = policy_value(THREE, seed=1)
    assert found.logged.value == pytest.approx((1 + 0 + 2) / 3)
    assert found.ips.value == pytest.approx((0.5 * 1 + 1 * 0 + 0.5 * 2) / 3)
    assert found.snips.value == pytest.approx((0.5 * 1 + 1 * 0 + 0.5 * 2) / (0.5 + 1 + 0.5))
    by_hand = (0.6 + 0.5 * (1 - 0.5)) + (0.4 + 1 * (0 - 0.5)) + (0.8 + 0.5 * (2 - 1))
    assert found.dr is not None
    assert found.dr.value == pytest.approx(by_hand / 3)
    assert found.overlap.value == pytest.approx((0.5 + 1 + 0.5) / 3)
    assert found.effective_rows == pytest.approx((0.5 + 1 + 0.5) ** 2 / (0.25 + 1 + 0.25))
    assert (found.rows, found.units, found.clipped_rows) == (3, 2, 0)
    assert (found.smallest_propensity, found.largest_weight) == (0.25, 1.0)


def test_a_cap_cuts_the_weights_above_it_and_counts_them() -> None:
    found = policy_value(THREE, seed=1, most_weight=0.5)
    assert found.ips.value == pytest.approx((0.5 * 1 + 0.5 * 0 + 0.5 * 2) / 3)
    assert found.snips.value == pytest.approx((0.5 * 1 + 0.5 * 0 + 0.5 * 2) / 1.5)
    assert found.clipped_rows == 1
    assert found.overlap == policy_value(THREE, seed=1).overlap
    with pytest.raises(UsageError, match="largest weight"):
        policy_value(THREE, seed=1, most_weight=0.0)


def test_rows_of_one_unit_are_drawn_together() -> None:
    """A thousand users repeat their one outcome ten times: ten times the rows tell no more."""
    outcome = np.random.default_rng(1).random(1_000) < 0.3
    once = LoggedRows(np.arange(1_000), outcome.astype(np.float64), np.full(1_000, 0.5), np.full(1_000, 0.5))
    again = LoggedRows(*(np.repeat(getattr(once, name), 10) for name in ("unit", "reward", "propensity", "evaluation")))
    assert policy_value(again, seed=1).ips == policy_value(once, seed=1).ips


@pytest.mark.parametrize("value", [0.0, -0.1, 1.5, np.nan])
def test_a_propensity_that_is_no_probability_is_refused(value: float) -> None:
    with pytest.raises(ContractError, match="1 with a propensity outside"):
        replace(THREE, propensity=np.array([0.5, value, 0.8]))


@pytest.mark.parametrize("value", [-0.1, 1.5, np.nan])
def test_an_evaluation_probability_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(ContractError, match="1 with an evaluation probability outside"):
        replace(THREE, evaluation=np.array([0.5, value, 0.4]))


def test_a_log_that_cannot_tell_is_refused() -> None:
    with pytest.raises(MissingDataError, match="no propensities"):
        replace(THREE, propensity=np.full(3, np.nan))
    with pytest.raises(MissingDataError, match="no row"):
        LoggedRows(np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.zeros(0))
    with pytest.raises(ContractError, match="1 with a reward"):
        replace(THREE, reward=np.array([1.0, np.inf, 0.0]))
    with pytest.raises(ContractError, match="evaluation has 2 rows"):
        replace(THREE, evaluation=np.array([0.5, 0.5]))
    with pytest.raises(UsageError, match="model's rewards"):
        replace(THREE, expected=None)


def test_what_an_interval_cannot_say_is_said_in_words() -> None:
    nothing = policy_value(replace(THREE, reward=np.zeros(3)), seed=1)
    assert (nothing.ips.value, nothing.ips.low, nothing.ips.high) == (0, 0, 0)
    assert nothing.notes == ("every reward is 0: how rewards vary is not known",)
    [note] = policy_value(replace(THREE, unit=np.zeros(3, np.int64)), seed=1).notes
    assert note.startswith("one unit")
    elsewhere = policy_value(replace(THREE, evaluation=np.zeros(3)), seed=1)
    assert np.isnan(elsewhere.snips.value)
    assert elsewhere.effective_rows == 0
    assert elsewhere.notes == ("the evaluation policy would take no logged action",)


REPETITIONS, USERS = 300, 300


def test_intervals_cover_the_world_s_truth_as_often_as_they_say() -> None:
    """Repeated: 300 users of one day are drawn with replacement, each with all their random slots of that day; in every
    slot a live video is drawn uniformly anew and a long view by the world's probability. Fixed: the day's slots. The
    truth is the mean over all the day's random slots of the world's probability under the policy.
    """
    world = WorldConfig(seed=5, users=1_500, videos=300, authors=60, exploration_share=0.2)
    day = world.first_day + timedelta(days=5)
    slots, live = slots_on(world, day), live_on(world, day)
    user, position, surface = (getattr(slots, name)[slots.is_random] for name in ("user_id", "position", "surface"))
    true = np.column_stack(
        [
            expected_long_view(world, day, user, np.full(len(user), one), position=position, surface=surface)
            for one in live
        ]
    )
    policies = {
        "the best tenth for all": _softmax(np.where(true.mean(axis=0) >= np.quantile(true.mean(axis=0), 0.9), 0, -99)),
        "better for all, more often": _softmax(8 * true.mean(axis=0)),
        "better for each, more often": _softmax(8 * true),
    }
    wrong_model = 0.1 + 0.5 * true.mean(axis=0)
    draw = np.random.default_rng(1)
    rows_of = [np.flatnonzero(user == one) for one in np.unique(user)]
    for name, policy in policies.items():
        chances = np.broadcast_to(policy, true.shape)
        truth = (chances * true).sum(axis=1).mean()
        model = chances @ wrong_model
        covered = np.zeros((REPETITIONS, 3))
        for i in range(REPETITIONS):
            drawn = draw.integers(len(rows_of), size=USERS)
            rows = np.concatenate([rows_of[one] for one in drawn])
            unit = np.repeat(np.arange(USERS), [len(rows_of[one]) for one in drawn])
            video = draw.integers(len(live), size=len(rows))
            reward = (draw.random(len(rows)) < true[rows, video]).astype(np.float64)
            log = LoggedRows(
                unit,
                reward,
                np.full(len(rows), 1 / len(live)),
                chances[rows, video],
                wrong_model[video],
                model[rows],
            )
            found = policy_value(log, seed=i, replicates=400)
            covered[i] = [one.low <= truth <= one.high for one in (found.ips, found.snips, found.dr)]
        assert (covered.mean(axis=0) >= 0.90).all(), name
        assert (covered.mean(axis=0) <= 0.97).all(), name


def _softmax(logits: Floats) -> Floats:
    chances: Floats = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return chances / chances.sum(axis=-1, keepdims=True)


def test_thompson_sampling_is_valued_from_the_uniform_log_as_its_own_log_says() -> None:
    folder = os.environ.get("REELFEED_OPEN_BANDIT_DIR")
    sample = Path(folder) if folder else Path(__file__).parents[3] / "shared" / "data" / "open-bandit-sample"
    if not sample.is_dir():
        pytest.skip("the Open Bandit sample is in neither REELFEED_OPEN_BANDIT_DIR nor ../shared/data")
    lines = told(str(sample), 20260101).splitlines()
    (own,) = [line for line in lines if line.startswith("Thompson sampling: ")]
    (estimate,) = [line for line in lines if line.startswith("Thompson sampling, from the uniform log")]
    low, high = re.findall(r"\[([\d.]+), ([\d.]+)\]", own)[0]
    ips_low, ips_high = re.findall(r"\[([\d.]+), ([\d.]+)\]", estimate)[0]
    assert float(ips_low) <= float(high)
    assert float(low) <= float(ips_high)


WORLD = WorldConfig(seed=7, users=400, videos=200, authors=40, exploration_share=0.4, duplicate_share=0, broken_share=0)
DAYS = [WORLD.first_day + timedelta(days=n) for n in range(4)]


def test_policies_are_valued_from_the_lake_by_what_was_known_before(settings: Settings, lake: Lake) -> None:
    for day in DAYS:
        _write(lake, IMPRESSIONS, day, arrivals_on(WORLD, day))
        pool = live_on(WORLD, day)
        _write(lake, VIDEOS, day, pa.table({"video_id": pool, "is_visible": np.ones(len(pool), bool)}))
    eve, pool = DAYS[-2], live_on(WORLD, DAYS[-2])
    user, video = np.repeat(np.arange(0, WORLD.users, 2), len(pool)), np.tile(pool, WORLD.users // 2)
    recipe = pa.repeat(pa.scalar("for_you"), len(user))
    _write(lake, FEEDS, eve, pa.table({"recipe": recipe, "user_id": user, "video_id": video}))

    values = policy_values(settings, load_recipe("for_you"), DAYS[-1], DAYS[-1])

    shown = arrivals_on(WORLD, DAYS[-1]).to_pandas()
    slots = shown[shown["is_random"] & (shown["shown_on"] == DAYS[-1])]
    uniform, best, feeds = (values[name] for name in (UNIFORM, "the most popular tenth", PUBLISHED))
    assert uniform.rows == len(slots)
    assert uniform.ips.value == pytest.approx(slots["is_long_view"].mean())
    assert best.ips.low is not None
    assert best.ips.low > uniform.ips.value
    # A feed of the eve's whole pool, for every second user, draws uniformly from it.
    had = slots[(slots["user_id"] % 2 == 0) & (slots["user_id"] < WORLD.users)]
    drawn = had[had["video_id"].isin(pool)]
    assert feeds.rows == len(had)
    by_hand = (drawn["is_long_view"] / drawn["propensity"] / len(pool)).sum() / len(had)
    assert feeds.ips.value == pytest.approx(by_hand)


def test_a_first_day_and_logs_without_exploration_are_refused(settings: Settings, lake: Lake) -> None:
    _write(lake, IMPRESSIONS, DAYS[0], arrivals_on(WORLD, DAYS[0]))
    with pytest.raises(MissingDataError, match="none before to tell popularity by"):
        policy_values(settings, load_recipe("for_you"), DAYS[0], DAYS[0])
    logged = arrivals_on(WORLD, DAYS[1])
    _write(lake, IMPRESSIONS, DAYS[1], logged.filter(pc.invert(logged["is_random"])))
    with pytest.raises(MissingDataError, match="no random slot with a propensity"):
        policy_values(settings, load_recipe("for_you"), DAYS[1], DAYS[1])


def _write(lake: Lake, table: Table, day: date, rows: pa.Table) -> None:
    of_day = rows.append_column("ds", pa.repeat(pa.scalar(day), len(rows)))
    write_deltalake(lake.path(table), of_day, mode="append", partition_by=["ds"])
