"""What drawn weights did: the planted effect is found, and rows of feeds and impressions come together rightly."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from written_tables import write

from core.errors import MissingDataError, UsageError
from core.lake import Lake
from core.recipe import load_recipe
from core.settings import Settings
from core.tables.feeds import TABLE as FEEDS
from core.tables.impressions import TABLE as IMPRESSIONS
from models.varied import UserWeights
from models.weight_effects import effects
from reelfeed.weight_effects import told

NIGHT = date(2026, 1, 5)
RECIPE = replace(load_recipe("for_you"), varied={"like": 0.5, "share": 0.2})


def test_a_planted_effect_is_found_and_none_where_there_is_none() -> None:
    draw = np.random.default_rng(4)
    users, nights, effect = 1_500, 2, 0.06
    user = np.repeat(np.arange(users), nights)
    drawn = draw.uniform(-1, 1, (len(user), 2))
    showings = draw.integers(1, 40, len(user)).astype(float)
    # Who is shown more likes less, and users differ: none of it hangs on the draw.
    rate = 0.3 - 0.004 * showings + 0.1 * draw.random(users)[user] + effect * drawn[:, 0]
    likes = draw.binomial(showings.astype(int), rate).astype(float)
    shares = draw.binomial(showings.astype(int), 0.1).astype(float)
    outcomes = np.column_stack([likes, shares])
    found = effects(user, drawn, showings, outcomes, ("like", "share"), ("is_like", "is_share"), seed=1)
    liked = found["is_like", "like"]
    assert liked.low is not None
    assert liked.high is not None
    assert 0 < liked.low < effect < liked.high < 2 * effect
    for nothing in (found["is_like", "share"], found["is_share", "like"], found["is_share", "share"]):
        assert nothing.low is not None
        assert nothing.high is not None
        assert nothing.low < 0 < nothing.high
    assert found["is_share", ""].value == pytest.approx(0.1, abs=0.005)


def test_too_few_users_are_refused() -> None:
    with pytest.raises(MissingDataError, match="3 users with drawn weights"):
        effects(np.arange(3), np.zeros((3, 1)), np.ones(3), np.ones((3, 1)), ("like",), ("is_like",), seed=1)


def test_a_recipe_that_varies_nothing_has_no_effects(settings: Settings) -> None:
    with pytest.raises(UsageError, match="varies no weight"):
        told(settings, load_recipe("for_you"), NIGHT, NIGHT)


def test_feeds_meet_what_their_users_did_the_day_after(lake: Lake, settings: Settings) -> None:
    users = np.arange(40)
    write(lake, FEEDS, NIGHT, [*feed(users), *feed(users + 100, recipe_hash="of another day")])
    after = NIGHT + timedelta(days=1)
    # Each user likes one of two showings if their weight was drawn above the recipe's, else none.
    above = np.asarray(UserWeights.of_night(RECIPE, NIGHT).of(users)["like"]) > RECIPE.value["like"]
    rows = [shown(user, video, after, is_like=bool(above[user]) and video == 1) for user in users for video in (1, 2)]
    rows += [shown(user + 100, 1, after, is_like=True) for user in users]
    elsewhere = [shown(user, 3, after, is_like=True) | {"surface": RECIPE.surface + 1} for user in users]
    write(lake, IMPRESSIONS, NIGHT, [shown(0, 9, NIGHT, is_like=True)])
    write(lake, IMPRESSIONS, after, [*rows, *elsewhere])
    write(lake, IMPRESSIONS, after + timedelta(days=1), [shown(0, 8, after), shown(0, 9, after + timedelta(days=1))])
    text = told(settings, RECIPE, NIGHT, NIGHT)
    assert f"40 nights of 40 users, {NIGHT} to {NIGHT}, 81 showings on the days after" in text
    line = next(line for line in text.splitlines() if line.startswith("is_like"))
    assert float(line.split()[1]) == pytest.approx(0.25, abs=0.08)
    assert float(line.split()[2]) == pytest.approx(0.375, abs=0.15), "the slope of a step at 0, of uniform draws: 3/8"
    with pytest.raises(MissingDataError, match="no showings on the day after a night"):
        told(settings, RECIPE, after, after)


def feed(users: np.ndarray, recipe_hash: str = RECIPE.hash) -> list[dict[str, Any]]:
    drawn = UserWeights.of_night(RECIPE, NIGHT).of(users)
    rows = []
    for place, user in enumerate(users.tolist()):
        weights = {head: float(np.broadcast_to(weight, len(users))[place]) for head, weight in drawn.items()}
        terms = [{"head": h, "prediction": 0.5, "weight": w, "term": 0.5 * w} for h, w in weights.items()]
        common = {"recipe": RECIPE.name, "recipe_hash": recipe_hash, "user_id": user}
        rows += [common | {"slot": slot, "video_id": slot, "terms": terms if slot > 1 else []} for slot in (1, 2, 3)]
    return rows


def shown(user: int, video: int, on: date, *, is_like: bool = False) -> dict[str, Any]:
    at = datetime(on.year, on.month, on.day, 12, tzinfo=UTC)
    row = {"user_id": int(user), "video_id": video, "shown_on": on, "shown_at": at, "shown_hour": 12}
    return row | {"surface": RECIPE.surface, "is_like": is_like}
