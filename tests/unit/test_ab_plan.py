"""Plans of experiments: sizes by hand, error rates of simulated experiments as promised, metrics as pandas counts."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from deltalake import write_deltalake
from scipy.stats import chisquare

from core.errors import ContractError, MissingDataError, UsageError
from core.lake import Lake
from core.settings import Settings
from core.tables.impressions import TABLE as IMPRESSIONS
from models.ab_plan import (
    Design,
    adjusted,
    correlation,
    detectable,
    false_positives,
    linearised,
    ratio_p_value,
    users_per_arm,
    z_score,
)
from reelfeed.__main__ import cli
from reelfeed.ab_plan import plans, split_told, told
from sim.arrivals import arrivals_on
from sim.world import WorldConfig

DESIGN = Design(alpha=0.05, power=0.8)
EXPERIMENTS = 1_000


def within(share: float, nominal: float, of: int = EXPERIMENTS) -> bool:
    """Whether a share of so many experiments is what chance makes of `nominal`, but for one time in a thousand."""
    return abs(share - nominal) < 3.3 * np.sqrt(nominal * (1 - nominal) / of)


def users(generator: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Long views and active days of users who differ much: a few have most of both."""
    keenness = generator.gamma(0.5, 2.0, count)
    days = 1.0 + generator.poisson(keenness)
    return generator.poisson(3 * keenness * days).astype(float), days


def test_sizes_are_those_made_by_hand() -> None:
    # 2 × 10² × (1.959964 + 0.841621)² / 1² = 1569.8
    assert users_per_arm(10.0, 1.0, DESIGN) == 1_570
    assert users_per_arm(10.0, -0.5, DESIGN) == 6_280
    assert users_per_arm(10.0, 1.0, Design(alpha=0.01, power=0.9)) == 2_976
    assert detectable(10.0, 1_570, DESIGN) == pytest.approx(1.0, abs=1e-4)


def test_a_ratio_is_a_mean_over_users() -> None:
    values = linearised(np.array([2.0, 0.0, 4.0]), np.array([1.0, 1.0, 2.0]))
    assert values.tolist() == pytest.approx([1.875, 0.375, 2.25])
    assert linearised(np.array([3.0, 5.0]), np.ones(2)).tolist() == [3.0, 5.0]


def test_its_variance_is_that_of_the_ratio() -> None:
    generator = np.random.default_rng(1)
    ratios = [top.sum() / bottom.sum() for top, bottom in (users(generator, 1_000) for _ in range(1_000))]
    error = linearised(*users(generator, 100_000)).std() / np.sqrt(1_000)
    assert error == pytest.approx(np.std(ratios), rel=0.1)


def test_where_nothing_was_done_arms_differ_as_often_as_the_level_says() -> None:
    generator = np.random.default_rng(2)
    scores = []
    for _ in range(EXPERIMENTS):
        values = linearised(*users(generator, 1_000))
        scores.append(abs(z_score(values[:500], values[500:])))
    assert within(np.mean(np.array(scores) > 1.959964), DESIGN.alpha)
    assert within(false_positives(linearised(*users(generator, 2_000)), DESIGN, 3, EXPERIMENTS), DESIGN.alpha)


@pytest.mark.parametrize("with_cuped", [False, True])
def test_at_the_planned_size_an_effect_is_shown_as_often_as_the_power_says(with_cuped: bool) -> None:
    generator = np.random.default_rng(4)
    effect, deviation = 0.3, np.sqrt(2.0)  # of what a user did before, deviation 1, and as much noise
    planned = users_per_arm(deviation * np.sqrt(0.5 if with_cuped else 1.0), effect, DESIGN)
    scores, differences = [], []
    for _ in range(EXPERIMENTS):
        before = generator.exponential(size=2 * planned)
        values = before + generator.normal(size=2 * planned)
        values[:planned] += effect
        judged = adjusted(values, before) if with_cuped else values
        scores.append(z_score(judged[:planned], judged[planned:]))
        differences.append(judged[:planned].mean() - judged[planned:].mean())
    assert within(np.mean(np.abs(scores) > 1.959964), DESIGN.power)
    # Neither way of judging is biased: the mean of all experiments is the effect, within four of its errors.
    assert np.mean(differences) == pytest.approx(effect, abs=4 * np.std(differences) / np.sqrt(EXPERIMENTS))


def test_cuped_keeps_the_mean_and_takes_the_squared_correlation_of_the_variance() -> None:
    generator = np.random.default_rng(5)
    before = generator.exponential(size=500)
    values = before + generator.normal(size=500)
    rho, found = correlation(values, before), adjusted(values, before)
    assert rho == pytest.approx(np.corrcoef(values, before)[0, 1], abs=1e-12)
    assert found.mean() == pytest.approx(values.mean(), abs=1e-12)
    assert found.var() == pytest.approx(values.var() * (1 - rho**2), rel=1e-12)
    constant = np.ones(500)
    assert correlation(values, constant) == 0.0
    assert adjusted(values, constant).tolist() == values.tolist()


@pytest.mark.parametrize(("first", "second", "planned"), [(10_230, 9_870, 0.5), (905, 95, 0.9), (0, 7, 0.5)])
def test_a_split_is_checked_as_scipy_does(first: int, second: int, planned: float) -> None:
    total = first + second
    expected = chisquare([first, second], [total * planned, total * (1 - planned)]).pvalue
    assert ratio_p_value(first, second, planned) == pytest.approx(expected, rel=1e-9)


def test_a_split_off_plan_is_an_error_and_one_by_chance_is_not() -> None:
    assert "no mismatch" in split_told(10_230, 9_870, 0.5)
    with pytest.raises(ContractError, match=r"sample-ratio mismatch: 52\.24%"):
        split_told(10_500, 9_600, 0.5)
    with pytest.raises(ContractError):
        split_told(10_230, 9_870, 0.6)


@pytest.mark.parametrize(("first", "second", "planned"), [(0, 0, 0.5), (-1, 5, 0.5), (5, 5, 0.0), (5, 5, 1.0)])
def test_counts_that_are_none_are_refused(first: int, second: int, planned: float) -> None:
    with pytest.raises(UsageError, match="cannot be checked"):
        ratio_p_value(first, second, planned)


@pytest.mark.parametrize(("alpha", "power"), [(0.0, 0.8), (1.0, 0.8), (0.05, 1.0), (0.05, 0.02), (np.nan, 0.8)])
def test_a_design_that_is_no_test_is_refused(alpha: float, power: float) -> None:
    with pytest.raises(UsageError, match="make no test"):
        Design(alpha, power)


def test_what_cannot_be_planned_is_refused() -> None:
    with pytest.raises(UsageError, match="an effect of 0"):
        users_per_arm(1.0, 0.0, DESIGN)
    with pytest.raises(MissingDataError, match="1 users in each arm"):
        detectable(1.0, 1, DESIGN)
    with pytest.raises(MissingDataError, match="nobody was there"):
        linearised(np.zeros(3), np.zeros(3))


WORLD = WorldConfig(seed=7, users=300, videos=200, authors=40, duplicate_share=0, broken_share=0)
DAYS = [WORLD.first_day + timedelta(days=n) for n in range(4)]


def written(lake: Lake, days: list[date]) -> pa.Table:
    parts = []
    for day in days:
        rows = arrivals_on(WORLD, day)
        parts.append(rows.append_column("ds", pa.repeat(pa.scalar(day), len(rows))))
        write_deltalake(lake.path(IMPRESSIONS), parts[-1], mode="append", partition_by=["ds"])
    return pa.concat_tables(parts)


def test_the_metrics_of_the_lake_are_counted_by_user(settings: Settings, lake: Lake) -> None:
    every = written(lake, DAYS).to_pandas()
    found, count, before = plans(settings, DAYS[-1], 2, 0.05, DESIGN)
    rows = every[every["shown_on"] >= DAYS[2]]
    by_user = rows.groupby("user_id")
    days = by_user["shown_on"].nunique()
    assert (count, before) == (len(by_user), 2)
    assert found["long views per user-day"].value == pytest.approx(rows["is_long_view"].sum() / days.sum())
    assert found["active days per user"].value == pytest.approx(days.mean())
    minutes = by_user["watch_ms"].sum() / 60_000
    plan = found["watch minutes per user"]
    assert (plan.value, plan.deviation) == (pytest.approx(minutes.mean()), pytest.approx(minutes.std()))
    earlier = every[(every["shown_on"] >= DAYS[0]) & (every["shown_on"] < DAYS[2])].groupby("user_id")["watch_ms"].sum()
    rho = np.corrcoef(minutes, earlier.reindex(minutes.index, fill_value=0))[0, 1]
    assert plan.correlation == pytest.approx(rho)
    assert plan.with_cuped[1] == pytest.approx(plan.detectable * np.sqrt(1 - rho**2))
    assert plan.per_arm == users_per_arm(plan.deviation, 0.05 * plan.value, DESIGN)
    assert within(plan.false_positives, DESIGN.alpha)


def test_without_days_before_there_is_no_gain_from_them(settings: Settings, lake: Lake) -> None:
    written(lake, DAYS[:1])
    found, _, before = plans(settings, DAYS[0], 1, 0.05, DESIGN)
    assert before == 0
    assert all(plan.with_cuped == (plan.per_arm, plan.detectable) for plan in found.values())
    assert "0 days before" in told(settings, DAYS[0], 1, 0.05, DESIGN)
    with pytest.raises(MissingDataError, match=str(DAYS[1])):
        plans(settings, DAYS[1], 1, 0.05, DESIGN)


def test_the_command_asks_what_is_wanted_and_fails_on_a_mismatch(settings: Settings) -> None:
    run = CliRunner().invoke
    assert "no mismatch" in run(cli, ["ab-plan", "--check-ratio", "10230", "9870"]).output
    assert isinstance(run(cli, ["ab-plan", "--check-ratio", "900", "100"]).exception, ContractError)
    assert "no mismatch" in run(cli, ["ab-plan", "--check-ratio", "900", "100", "--planned", "0.9"]).output
    assert isinstance(run(cli, ["ab-plan"]).exception, UsageError)
