"""What every re-ranking rule promises, for every file of models/rules/, alone and after others."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.rule import KINDS, Columns, Lists, Rule, Steps, all_rules, apply_all, lists_of, mark_names

RULES = list(all_rules().values())
LENGTH = 12
DIMENSIONS = 3


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@st.composite
def users(draw: st.DrawFn) -> tuple[dict[str, NDArray[Any]], Lists]:
    """Up to three users' lists, each of rows of its own, in any order."""
    sizes = draw(st.lists(st.integers(0, 30), min_size=1, max_size=3))
    rows, kinds = sum(sizes), draw(st.integers(1, 6))
    # Drawn by numpy: thousands of draws by hypothesis would take most of the test's time.
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    columns = {
        "video_id": np.arange(rows) + 100,
        "author_id": rng.integers(0, kinds, rows),
        "tag_id": rng.integers(-1, kinds, rows),
        "is_seen": rng.random(rows) < 0.3,
        "is_blocked": rng.random(rows) < 0.3,
        "is_showable": rng.random(rows) < 0.7,
        "is_candidate": rng.random(rows) < 0.7,
        "fresh_rank": rng.integers(0, 4, rows),
        "value": rng.integers(-2, 9, rows) / 4,
        "vector_at": rng.integers(0, kinds, rows),
        "vectors": unit(rng.normal(size=(kinds, DIMENSIONS))),
    }
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    order = [rng.permutation(np.arange(*pair)) for pair in pairwise(bounds)]
    return columns, lists_of(np.concatenate(order).astype(np.int64), bounds)


def of_each(lists: Lists, values: NDArray[Any]) -> list[list[Any]]:
    """Returns `values`, one beside each row of `lists`, user by user."""
    return [values[begin:end].tolist() for begin, end in pairwise(lists.bounds)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@given(made=users())
def test_never_invents_or_repeats_and_is_stable(rule: Rule, made: tuple[Columns, Lists]) -> None:
    columns, lists = made
    steps = [(rule, rule.parameters)]
    once = apply_all(steps, lists, columns, LENGTH)
    for before, after in zip(of_each(lists, lists.rows), of_each(once, once.rows), strict=True):
        assert len(set(after)) == len(after)
        assert set(after) <= set(before)
        assert rule.kind == "filter" or len(after) == len(before), "only filters take videos out"
    twice = apply_all(steps, lists_of(once.rows, once.bounds), columns, LENGTH)
    assert of_each(twice, twice.rows) == of_each(once, once.rows)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@given(made=users())
def test_it_reads_only_what_it_names_and_treats_users_apart(rule: Rule, made: tuple[Columns, Lists]) -> None:
    columns, lists = made
    steps = [(rule, rule.parameters)]
    named = {name: columns[name] for name in (*rule.columns, "video_id")}
    together = apply_all(steps, lists, columns, LENGTH)
    for user, rows in enumerate(of_each(lists, lists.rows)):
        mine = lists_of(np.array(rows, np.int64), np.array([0, len(rows)]))
        alone = apply_all(steps, mine, named, LENGTH)
        assert alone.rows.tolist() == of_each(together, together.rows)[user]


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.kind != "filter"], ids=lambda rule: rule.name)
@given(made=users())
def test_a_row_that_stands_where_it_stood_among_unmarked_ones_is_unmarked(
    rule: Rule, made: tuple[Columns, Lists]
) -> None:
    """Rows without a mark keep their order among themselves: the marked ones are what a rule moved."""
    columns, lists = made
    after = apply_all([(rule, rule.parameters)], lists, columns, LENGTH)
    was = {row: place for place, row in enumerate(lists.rows.tolist())}
    for rows, marks in zip(of_each(after, after.rows), of_each(after, after.marks), strict=True):
        places = [was[row] for row, mark in zip(rows, marks, strict=True) if not mark]
        assert places == sorted(places)


@st.composite
def caps(draw: st.DrawFn) -> Steps:
    """Caps in any order, and perhaps the floor."""
    names = draw(st.permutations([rule.name for rule in RULES if rule.kind == "cap"]))
    limits = [{"most": draw(st.integers(1, 3)), "within": draw(st.integers(2, 8))} for _ in names]
    steps = [(all_rules()[name], limit) for name, limit in zip(names, limits, strict=True)]
    floor = {"least": draw(st.integers(1, 2)), "within": draw(st.integers(3, 6))}
    return [*steps, *([(all_rules()["new_videos"], floor)] if draw(st.booleans()) else [])]


@given(made=users(), steps=caps())
def test_caps_hold_together_or_the_row_says_which_was_given_up_and_nothing_better_waited(
    made: tuple[Columns, Lists], steps: Steps
) -> None:
    columns, lists = made
    done = apply_all(steps, lists, columns, LENGTH)
    names = mark_names(steps)
    held = of_each(done, done.is_held)
    for user, (rows, marks) in enumerate(zip(of_each(done, done.rows), of_each(done, done.marks), strict=True)):

        def broken(row: int, slot: int, rows: list[int] = rows) -> list[str]:
            found = []
            for rule, limit in steps:
                if rule.kind == "cap" and (kind := columns[rule.columns[0]][row]) >= 0:
                    lately = [columns[rule.columns[0]][r] for r in rows[max(0, slot - limit["within"] + 1) : slot]]
                    found += [rule.name] if lately.count(kind) >= limit["most"] else []
            return found

        def kept(row: int, slot: int) -> int:
            wrong = broken(row, slot)
            return next((i for i, (rule, _) in enumerate(steps) if rule.name in wrong), len(steps))

        for slot, row in enumerate(rows[:LENGTH]):
            said = {name for bit, name in enumerate(names) if marks[slot] >> bit & 1}
            assert {name for name in said if "relaxed" in name} == {f"{name} relaxed" for name in broken(row, slot)}
            waiting = [r for place, r in enumerate(rows[slot:], slot) if place >= LENGTH or not held[user][place]]
            assert held[user][slot] or kept(row, slot) == max(kept(r, slot) for r in waiting)


@given(made=users(), least=st.integers(1, 2), every=st.integers(3, 7))
def test_the_floor_is_met_in_the_order_of_its_rank(made: tuple[Columns, Lists], least: int, every: int) -> None:
    columns, lists = made
    steps = [(all_rules()["new_videos"], {"least": least, "within": every})]
    done = apply_all(steps, lists, columns, LENGTH)
    for rows, held in zip(of_each(done, done.rows), of_each(done, done.is_held), strict=True):
        top = min(len(rows), LENGTH)
        slots = [slot for slot in range(top) if every // 2 <= slot % every < every // 2 + least]
        fresh = sorted((columns["fresh_rank"][row], row) for row in rows if columns["fresh_rank"][row] > 0)
        assert [rows[slot] for slot in slots if held[slot]] == [row for _, row in fresh][: len(slots)]
        assert [slot for slot in range(len(rows)) if held[slot]] == slots[: len(fresh)]


def test_every_kind_of_rule_is_there() -> None:
    assert {rule.kind for rule in RULES} == set(KINDS)
