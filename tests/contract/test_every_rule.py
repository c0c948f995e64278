"""What every re-ranking rule promises, for every file of models/rules/."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.rule import Rule, all_rules

RULES = list(all_rules().values())


@st.composite
def slates(draw: st.DrawFn) -> dict[str, np.ndarray]:
    rows = draw(st.integers(0, 40))
    flags = st.lists(st.booleans(), min_size=rows, max_size=rows)
    return {
        "video_id": np.arange(rows) + 100,
        "author_id": np.array(draw(st.lists(st.integers(0, 5), min_size=rows, max_size=rows)), dtype=np.int64),
        "is_seen": np.array(draw(flags), dtype=bool),
        "is_showable": np.array(draw(flags), dtype=bool),
        "fresh_rank": np.array(draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows)), dtype=np.int64),
    }


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@given(slate=slates(), seed=st.integers(0, 99))
def test_never_invents_or_repeats_and_is_stable(rule: Rule, slate: dict[str, np.ndarray], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(slate["video_id"]))
    once = rule.apply(order, slate, **rule.parameters)
    assert len(set(once.tolist())) == len(once)
    assert set(once.tolist()) <= set(order.tolist())
    assert rule.apply(once, slate, **rule.parameters).tolist() == once.tolist()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_survives_an_empty_slate_and_reads_only_what_it_names(rule: Rule) -> None:
    empty = {
        name: np.array([], dtype=bool if name.startswith("is_") else np.int64) for name in (*rule.columns, "video_id")
    }
    assert len(rule.apply(np.array([], dtype=np.int64), empty, **rule.parameters)) == 0


@given(slate=slates(), most=st.integers(1, 4), within=st.integers(1, 12))
def test_the_author_cap_holds_wherever_another_author_was_left(
    slate: dict[str, np.ndarray], most: int, within: int
) -> None:
    order = all_rules()["author_cap"].apply(np.arange(len(slate["video_id"])), slate, most=most, within=within)
    authors = slate["author_id"][order].tolist()
    for slot, author in enumerate(authors):
        lately = authors[max(0, slot - within + 1) : slot]
        if lately.count(author) >= most:
            later = set(authors[slot:])
            assert all(lately.count(other) >= most for other in later), f"slot {slot}: {authors}"
