"""Value weights that differ from user to user, by chance and within bounds, so that what a weight does can be learnt.

A recipe's [varied] names heads and, for each, a share s. The weight w of such a head is for user and night

    w (1 + s (2 u - 1))        u uniform in [0, 1), drawn for recipe, night, user and head

so that it lies between w (1 - s) and w (1 + s), is w on average, and keeps its sign. Draws of heads, users and nights
are independent of each other and of those of exploration; the same night again draws the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from core.recipe import Recipe

Floats = NDArray[np.float64]

STREAM = 1
"""Sets these draws apart from exploration's, which have the same seeds."""


@dataclass(frozen=True)
class UserWeights:
    """`weights` by head, and the share by which those of `varied` differ; `recipe_hash` (hexadecimal) and `ds` seed."""

    weights: Mapping[str, float]
    varied: Mapping[str, float]
    recipe_hash: str
    ds: date

    @classmethod
    def of_night(cls, recipe: Recipe, ds: date) -> UserWeights:
        return cls(recipe.value, recipe.varied, recipe.hash, ds)

    def of(self, users: NDArray[np.int64]) -> dict[str, float | Floats]:
        """Returns the weight of every head: one number or, of a varied head, that of each of `users`, (users,)."""
        found: dict[str, float | Floats] = dict(self.weights)
        if not self.varied:
            return found
        distinct, place = np.unique(users, return_inverse=True)
        names, seed = sorted(self.varied), (int(self.recipe_hash, 16), self.ds.toordinal())
        uniforms = np.empty((len(distinct), len(names)))
        for row, user in enumerate(distinct.tolist()):
            np.random.default_rng(np.random.SeedSequence((*seed, user), spawn_key=(STREAM,))).random(out=uniforms[row])
        for column, name in enumerate(names):
            found[name] = self.weights[name] * (1 + self.varied[name] * (2 * uniforms[place, column] - 1))
        return found
