"""The law of the simulated world: a day is a function of the configuration and the day, whatever was made before."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import blocks, catalogue, day, follows
from sim.arrivals import arrivals_on
from sim.blocks import blocks_on
from sim.catalogue import users_on, videos_on
from sim.follows import follows_on
from sim.user import expected_long_view
from sim.world import WorldConfig


def _forget() -> None:
    """Empties every cache, as a new process would begin."""
    for cached in (day.impressions_on, follows.follows_on, follows._begun_on, catalogue.authors_of, blocks._begun_on):
        cached.cache_clear()
    for cached in (catalogue._users_through, catalogue._videos_through, catalogue.tag_directions):
        cached.cache_clear()


worlds = st.builds(
    WorldConfig,
    seed=st.integers(0, 2**32),
    users=st.integers(1, 60),
    videos=st.integers(1, 120),
    authors=st.integers(1, 12),
    tags=st.integers(3, 12),
    impressions_per_user_day=st.floats(1, 30),
    new_users_share=st.floats(0, 0.2),
    new_videos_share=st.floats(0, 0.2),
    exploration_share=st.floats(0, 1),
    late_share=st.floats(0, 0.5),
    duplicate_share=st.floats(0, 0.2),
    broken_share=st.floats(0, 0.2),
)


@settings(max_examples=25, deadline=None)
@given(worlds, st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True))
def test_days_are_the_same_made_alone_or_in_any_order(config: WorldConfig, offsets: list[int]) -> None:
    asked = [config.first_day + timedelta(days=offset) for offset in offsets]
    _forget()
    together = {each: arrivals_on(config, each) for each in asked}
    for each in reversed(asked):
        _forget()
        assert arrivals_on(config, each).equals(together[each])


@settings(max_examples=25, deadline=None)
@given(worlds, st.integers(0, 9), st.integers(1, 9))
def test_what_is_known_of_a_user_or_video_never_changes(config: WorldConfig, offset: int, later: int) -> None:
    early = config.first_day + timedelta(days=offset)
    late = early + timedelta(days=later)
    for of_day in (users_on, videos_on):
        before, after = of_day(config, early), of_day(config, late)
        for field in fields(before):
            values = getattr(before, field.name)
            assert np.array_equal(values, getattr(after, field.name)[: len(values)])
    first, second = follows_on(config, early), follows_on(config, late)
    assert np.array_equal(second.first_day(first.user_id, first.author_id), first.since)
    blocked, still = (set(zip(*blocks_on(config, on), strict=True)) for on in (early, late))
    followed = set(zip(second.user_id, second.author_id, strict=True))
    assert not still & followed
    assert blocked <= still | followed, "a block ends only by a follow"


@settings(max_examples=25, deadline=None)
@given(worlds, st.integers(0, 5), st.integers(1, 50))
def test_the_truth_is_a_probability_that_falls_with_the_place(config: WorldConfig, offset: int, place: int) -> None:
    on = config.first_day + timedelta(days=offset)
    video = np.arange(len(videos_on(config, on).video_id))
    user = np.zeros(len(video), np.int64)
    here, next_place = (expected_long_view(config, on, user, video, position=at) for at in (place, place + 1))
    assert ((here >= 0) & (here <= 1)).all()
    assert (next_place <= here).all()
