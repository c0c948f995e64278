"""The simulated world: what it shows, how its users react, and that its truth explains both."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from core.errors import UsageError
from sim.catalogue import live_on, tag_tastes, users_on, videos_on
from sim.day import DAY_MS, Impressions, impressions_on
from sim.follows import follows_on
from sim.user import examination, expected_long_view
from sim.world import WorldConfig

WORLD = WorldConfig(seed=5, users=600, videos=900, authors=90, exploration_share=0.1)
FIRST = WORLD.first_day


@pytest.fixture(scope="module")
def days() -> list[tuple[date, Impressions]]:
    """Four days, about 55,000 impressions, a tenth of them random."""
    span = [FIRST + timedelta(days=n) for n in range(4)]
    return [(day, impressions_on(WORLD, day)) for day in span]


def _rate(days: list[tuple[date, Impressions]], signal: str) -> float:
    return float(np.concatenate([getattr(seen.reactions, signal) for _, seen in days]).mean())


@pytest.mark.parametrize(
    ("signal", "least", "most"),
    [
        ("is_long_view", 0.25, 0.38),
        ("is_click", 0.35, 0.55),
        ("is_like", 0.012, 0.03),
        ("is_not_interested", 0.003, 0.01),
        ("is_comment", 0.001, 0.008),
        ("is_share", 0.001, 0.008),
        ("is_profile_visit", 0.003, 0.02),
    ],
)
def test_signals_are_as_frequent_as_in_real_logs(
    days: list[tuple[date, Impressions]], signal: str, least: float, most: float
) -> None:
    assert least <= _rate(days, signal) <= most


def test_about_as_many_impressions_as_configured(days: list[tuple[date, Impressions]]) -> None:
    rows = sum(len(seen.shown_ms) for _, seen in days)
    assert rows / (4 * WORLD.users) == pytest.approx(WORLD.impressions_per_user_day, rel=0.15)


def test_users_and_videos_arrive_every_day() -> None:
    before, after = FIRST + timedelta(days=1), FIRST + timedelta(days=2)
    assert len(users_on(WORLD, after).user_id) > len(users_on(WORLD, before).user_id)
    assert len(videos_on(WORLD, after).video_id) > len(videos_on(WORLD, before).video_id)
    assert len(follows_on(WORLD, after).user_id) > len(follows_on(WORLD, before).user_id)
    assert set(videos_on(WORLD, after).uploaded) > set(videos_on(WORLD, before).uploaded)


def test_the_random_slots_of_a_day_show_each_live_video_equally_often(days: list[tuple[date, Impressions]]) -> None:
    for day, seen in days:
        live = live_on(WORLD, day)
        shown = seen.slots.video_id[seen.slots.is_random]
        assert np.isin(shown, live).all()
        assert (seen.slots.propensity[seen.slots.is_random] == 1 / len(live)).all()
        assert np.isnan(seen.slots.propensity[~seen.slots.is_random]).all()
        counts = np.bincount(np.searchsorted(live, shown), minlength=len(live))
        expected = len(shown) / len(live)
        chi_square = ((counts - expected) ** 2 / expected).sum()
        # Mean and standard deviation of chi-square with that many degrees of freedom.
        assert abs(chi_square - len(live)) < 5 * np.sqrt(2 * len(live))


def test_chosen_slots_repeat_no_video_to_a_user_within_a_day(days: list[tuple[date, Impressions]]) -> None:
    for _, seen in days:
        chosen = ~seen.slots.is_random
        pairs = np.stack([seen.slots.user_id[chosen], seen.slots.video_id[chosen]])
        assert len(np.unique(pairs, axis=1).T) == chosen.sum()


def test_a_user_watches_one_video_at_a_time(days: list[tuple[date, Impressions]]) -> None:
    for _, seen in days:
        assert seen.shown_ms.min() >= 0
        assert seen.shown_ms.max() < DAY_MS
        same_user = np.diff(seen.slots.user_id) == 0
        ends = (seen.shown_ms + seen.reactions.watch_ms)[:-1]
        assert (seen.shown_ms[1:] >= ends)[same_user].all()


def test_places_count_from_one_in_every_session(days: list[tuple[date, Impressions]]) -> None:
    slots = days[0][1].slots
    starts = slots.position == 1
    new_session = np.diff(slots.user_id * 10 + slots.session, prepend=-1) != 0
    assert (starts == new_session).all()
    assert (np.diff(slots.position)[~new_session[1:]] == 1).all()


def test_long_views_of_random_videos_fall_with_the_place_as_examination_does(
    days: list[tuple[date, Impressions]],
) -> None:
    random = [seen.slots.is_random for _, seen in days]
    place = np.concatenate([seen.slots.position[rows] for (_, seen), rows in zip(days, random, strict=True)])
    viewed = np.concatenate([seen.reactions.is_long_view[rows] for (_, seen), rows in zip(days, random, strict=True)])
    early, late = place <= 5, place > 15
    seen_ratio = viewed[late].mean() / viewed[early].mean()
    true_ratio = examination(place[late]).mean() / examination(place[early]).mean()
    assert seen_ratio == pytest.approx(true_ratio, abs=0.12)
    assert true_ratio < 0.7


def test_the_truth_is_the_rate_at_which_long_views_happen(days: list[tuple[date, Impressions]]) -> None:
    truth = np.concatenate([_truth(day, seen) for day, seen in days])
    viewed = np.concatenate([seen.reactions.is_long_view for _, seen in days])
    tenth = np.digitize(truth, np.quantile(truth, np.arange(0.1, 1.0, 0.1)))
    for part in range(10):
        rows = tenth == part
        error = np.sqrt(truth[rows].mean() * (1 - truth[rows].mean()) / rows.sum())
        assert abs(viewed[rows].mean() - truth[rows].mean()) < 4 * error


def _truth(day: date, seen: Impressions) -> np.ndarray:
    slots = seen.slots
    return expected_long_view(WORLD, day, slots.user_id, slots.video_id, position=slots.position, surface=slots.surface)


def test_taste_video_and_author_all_matter() -> None:
    users, videos = np.arange(WORLD.users), np.arange(WORLD.videos)
    user, video = (grid.ravel() for grid in np.meshgrid(users, videos, indexing="ij"))
    truth = expected_long_view(WORLD, FIRST, user, video).reshape(WORLD.users, WORLD.videos)
    catalogue = videos_on(WORLD, FIRST)
    quality = np.corrcoef(truth.mean(axis=0), catalogue.quality)[0, 1]
    taste = tag_tastes(WORLD, FIRST)[:, catalogue.tags[:, 0]]
    assert quality > 0.5
    assert np.corrcoef((truth - truth.mean(axis=0)).ravel(), taste.ravel())[0, 1] > 0.4


def test_a_follow_in_the_log_is_in_that_evenings_graph_and_not_in_the_one_before(
    days: list[tuple[date, Impressions]],
) -> None:
    for day, seen in days[1:]:
        slots, author = seen.slots, videos_on(WORLD, day).author_id[seen.slots.video_id]
        pairs = set(zip(slots.user_id[seen.is_follow].tolist(), author[seen.is_follow].tolist(), strict=True))
        before, after = follows_on(WORLD, day - timedelta(days=1)), follows_on(WORLD, day)
        assert pairs
        assert pairs <= set(zip(after.user_id.tolist(), after.author_id.tolist(), strict=True))
        assert not pairs & set(zip(before.user_id.tolist(), before.author_id.tolist(), strict=True))


def test_a_world_whose_videos_have_all_gone_shows_none() -> None:
    faded = WorldConfig(users=3, videos=1, authors=1, new_videos_share=0.0)
    day = date.fromordinal(int(videos_on(faded, FIRST).withdrawn[0]))
    assert len(impressions_on(faded, day - timedelta(days=1)).shown_ms) > 0
    assert len(impressions_on(faded, day).shown_ms) == 0


def test_a_world_of_another_seed_is_another_world() -> None:
    other = impressions_on(replace(WORLD, seed=6), FIRST)
    this = impressions_on(WORLD, FIRST)
    assert not np.array_equal(this.slots.video_id[:100], other.slots.video_id[:100])


def test_a_question_about_someone_who_does_not_exist_yet_is_refused() -> None:
    newest = len(users_on(WORLD, FIRST).user_id)
    with pytest.raises(UsageError, match=f"no such user on {FIRST}: {newest}"):
        expected_long_view(WORLD, FIRST, np.array([newest]), np.array([0]))


def test_a_day_before_the_world_is_refused() -> None:
    with pytest.raises(UsageError, match=str(FIRST)):
        impressions_on(WORLD, FIRST - timedelta(days=1))


def test_every_wrong_number_of_a_configuration_is_named() -> None:
    with pytest.raises(UsageError, match=r"users must be.*late_share must be"):
        WorldConfig(users=0, late_share=1.5)
