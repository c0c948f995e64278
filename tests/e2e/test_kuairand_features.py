"""On KuaiRand's real rows: vectors and strengths equal an independent query in DuckDB, written from the docs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import duckdb
import feature_oracle
import numpy as np
import pyarrow
import pyarrow.compute as pc
import pytest
from kuairand import FIRST, kuairand_request, needs_kuairand

from core.lake import Lake
from core.run import run_jobs
from core.settings import Settings
from core.tables.feature_priors import TABLE as FEATURE_PRIORS
from core.tables.machine_factors import RANK
from core.tables.training_examples import TABLE as TRAINING_EXAMPLES
from features.catalog import feature_names
from jobs._registry import all_jobs
from reelfeed.input_scores import fields_of, impressions, machine, out_of_fold
from reelfeed.refits import parts

# The fewest days after which one has left the window of seven: the test rows' snapshot is that of 2 May.
LAST = date(2022, 5, 3)
DAYS = [FIRST + timedelta(days=i) for i in range((LAST - FIRST).days + 1)]
DRAWN, SEED = 1_000, 1

MACHINE = "machine__long_view_log_odds"

pytestmark = needs_kuairand


@pytest.fixture(scope="module")
def here(kuairand: Settings) -> Settings:
    """The installation as of LAST, with training examples of a split of one day each."""
    split = replace(kuairand.split, test_days=1, validate_days=1, train_rows_at_most=5_000)
    settings = replace(kuairand, split=split)
    run_jobs(all_jobs(), ["build_training_set"], kuairand_request(LAST), settings)
    return settings


@pytest.fixture(scope="module")
def examples(here: Settings) -> pyarrow.Table:
    found = Lake(here.lake).read_arrow(TRAINING_EXAMPLES, [LAST])
    return found.sort_by([(name, "ascending") for name in TRAINING_EXAMPLES.key])


@pytest.fixture(scope="module")
def oracle(here: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    with feature_oracle.opened(Lake(here.lake), DAYS) as con:
        feature_oracle.shrink(con)
        feature_oracle.dated(con, here.split, here.publish_hour)
        yield con


def test_every_row_is_of_the_part_and_sees_the_snapshot_that_the_docs_say(
    oracle: duckdb.DuckDBPyConnection, examples: pyarrow.Table
) -> None:
    oracle.register("examples", examples.drop_columns(["features", "labels"]))
    wrong = oracle.execute("""
        select dated.part, examples.part, snapshot, snapshot_ds, count(*)
        from dated full join examples using (user_id, video_id, shown_at)
        where (dated.part, snapshot) is distinct from (examples.part, snapshot_ds)
            -- of the train part only some rows were drawn
            and not (examples.part is null and dated.part = 'train')
        group by all""").fetchall()
    assert not wrong
    assert {"train", "validate", "test"} == set(examples["part"].to_pylist())
    assert oracle.execute("select count(*) > 0 from seen where arrived > shown_on").fetchall() == [(True,)]


def test_vectors_of_random_impressions_equal_the_oracles(
    oracle: duckdb.DuckDBPyConnection, examples: pyarrow.Table
) -> None:
    # What the machine says is learnt, not counted: the test below fits it anew.
    names = [name for name in feature_names() if name != MACHINE]
    at_random = np.random.default_rng(SEED).choice(examples.num_rows, DRAWN, replace=False)
    # Few rows have more of their session behind them than is looked back at, so all such rows are looked at.
    positions = pc.list_element(examples["features"], feature_names().index("session__position")).to_numpy()
    drawn = examples.take(np.union1d(at_random, np.flatnonzero(positions > 6)))
    keys = drawn.select(TRAINING_EXAMPLES.key[:3]).add_column(0, "place", pyarrow.array(range(drawn.num_rows)))
    rows = feature_oracle.vectors(oracle, keys)
    assert len(rows) == drawn.num_rows
    assert set(rows[0]) == set(names)
    expected = np.array([[np.nan if row[name] is None else row[name] for name in names] for row in rows], float)
    found = np.array(drawn["features"].to_pylist())[:, [feature_names().index(name) for name in names]]
    # A value near 0 that is a difference of float32s is as exact as they are.
    near_zero = [3e-7 if name == "freshness__velocity" else 1e-9 for name in names]
    wrong = ~np.isclose(found, expected, rtol=1e-5, atol=near_zero, equal_nan=True)
    told = [
        f"{name}: {wrong[:, i].sum()} rows, such as {keys.slice(j, 1).to_pylist()}: {found[j, i]}, not {expected[j, i]}"
        for i, name in enumerate(names)
        for j in np.flatnonzero(wrong[:, i])[:1]
    ]
    assert not told, "\n".join(told)
    popularity = [row["video_reception__long_view_rate_28d"] for row in rows]
    assert drawn["popularity"].to_pylist() == pytest.approx(popularity, rel=1e-5)
    _assert_that_much_was_tried(dict(zip(names, expected.T, strict=True)), oracle)


def test_log_odds_are_those_of_a_machine_that_knew_what_had_arrived_by_the_snapshot(here: Settings) -> None:
    """Fitted from the impressions without Spark, and asked of each row's own values instead of sums over them."""
    _, rows = parts(here, LAST)
    known = impressions(here, LAST)
    expected = out_of_fold(rows.snapshot, fields_of(rows, known), machine(known, here.seed, RANK))
    found = rows.features[:, feature_names().index(MACHINE)]
    assert np.isfinite(found).all()
    assert found == pytest.approx(expected, abs=1e-5)


def _assert_that_much_was_tried(values: dict[str, np.ndarray], oracle: duckdb.DuckDBPyConnection) -> None:
    """Rows for which a wrong rule would show: each kind is there, and more than once."""
    frozen, early = oracle.execute("""
        select count(*) filter (part = 'test' and snapshot < shown_on),
            count(*) filter (part <> 'test' and snapshot = shown_on - 2)
        from drawn""").fetchall()[0]
    tried = {
        "rows of the frozen day": frozen,
        "rows shown ahead of the publish hour": early,
        "videos that a window of seven days has partly left": np.sum(
            values["video_reception__showings_7d"] < values["video_reception__showings_28d"]
        ),
        "videos not shown that day": np.sum(values["video_reception__showings_1d"] == 0),
        "users never seen": np.sum(values["user_activity__showings_28d"] == 0),
        "pairs seen": np.sum(values["user_author_affinity__showings_28d"] > 0),
        "pairs never seen": np.sum(values["user_tag_affinity__showings_28d"] == 0),
        "places late in a session": np.sum(values["session__position"] > 6),
        "skips in a session": np.sum(values["session__skips"] > 0),
        "unknown lengths": np.sum(np.isnan(values["content__duration"])),
    }
    assert {kind: count for kind, count in tried.items() if count < 5} == {}


SINGLE = [name for name, group in feature_oracle.GROUPS.items() if len(group.entity) < 2]


@pytest.mark.parametrize("group", SINGLE)
def test_strengths_are_those_of_buhlmann_and_straub(
    group: str, oracle: duckdb.DuckDBPyConnection, here: Settings
) -> None:
    """Every night, rate and window, of all groups but pairs, whose strengths are estimated from a sample."""
    published = {
        (row["ds"], row["feature"]): row
        for row in Lake(here.lake).read_arrow(FEATURE_PRIORS, DAYS).to_pylist()
        if row["feature"].startswith(f"{group}__")
    }
    found = feature_oracle.strengths(oracle, group)
    # No one follows anyone in KuaiRand, so of followers there is nothing to estimate from.
    estimable = set() if group.startswith("follower_") else published.keys()
    assert {(row["day"], row["feature"]) for row in found} == estimable
    for row in found:
        prior = published[row["day"], row["feature"]]
        # The engine rounds each entity's moments to 2⁻²⁰, which tells where a signal is rare.
        rel = 1e-2 if "not_interested" in row["feature"] else 1e-3
        assert (row["feature"], prior["entities"]) == (row["feature"], row["many"])
        assert prior["is_estimated"] == (row["many"] >= 30 and row["v"] > 0)
        assert (row["feature"], prior["strength"]) == (row["feature"], pytest.approx(row["k"], rel=rel))
