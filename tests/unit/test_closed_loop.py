"""What the study of the closed loop counts, and what it leaves out of the recipe it compares with."""

from __future__ import annotations

import numpy as np
import pytest

from core.recipe import load_recipe
from models.rule import chosen
from reelfeed.closed_loop import LEAST_SEEN, effective_tags, without_exploration


def test_tags_are_counted_by_how_evenly_a_user_is_shown_them() -> None:
    user = np.repeat([3, 5, 9], [2 * LEAST_SEEN, 2 * LEAST_SEEN, LEAST_SEEN - 1])
    one, both, few = np.full(2 * LEAST_SEEN, 4), np.tile([0, 7], LEAST_SEEN), np.arange(LEAST_SEEN - 1)
    tag = np.concatenate([one, both, few])
    assert effective_tags(user, tag) == pytest.approx((1 + 2) / 2)
    assert effective_tags(np.append(user, 5), np.append(tag, -1)) == pytest.approx(1.5), "no tag is not a tag"
    assert np.isnan(effective_tags(user[-3:], tag[-3:]))


def test_the_other_recipe_neither_explores_nor_favours_new_videos_and_is_sound() -> None:
    recipe = load_recipe("for_you")
    bare = without_exploration(recipe)
    assert bare.exploration_slots == 0 < recipe.exploration_slots
    assert recipe.sources.keys() - bare.sources.keys() == {"fresh"}
    assert {rule.name for rule, _ in chosen(recipe.rules, "")} - {rule.name for rule, _ in chosen(bare.rules, "")} == {
        "new_videos"
    }
    assert bare.hash != recipe.hash
