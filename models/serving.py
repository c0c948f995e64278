"""Which sources a recipe serves, and how their lists become one."""

from __future__ import annotations

from core.errors import unknown
from core.recipe import Recipe
from models.blend import Blend
from models.merge import Merging
from models.source import all_sources

FALLBACK = "trending"
"""The source whose list fills feeds that run short; always fitted."""


def served_sources(recipe: Recipe) -> tuple[str, ...]:
    """Returns the names of the sources that `recipe` serves and of the fallback, sorted.

    Raises UsageError for a source that is no file of models/sources/.
    """
    for name in recipe.sources:
        if name not in all_sources():
            raise unknown("source", name, all_sources(), where=f"conf/feeds/{recipe.name}.toml [sources]")
    return tuple(sorted({*recipe.sources, FALLBACK}))


def asked_of(recipe: Recipe) -> dict[str, int]:
    """Returns how many candidates each source is asked for: its quota, and of the fallback enough to fill any list."""
    return {**recipe.sources, FALLBACK: max(recipe.candidates, recipe.sources.get(FALLBACK, 0))}


def merging(recipe: Recipe, blend: Blend | None) -> Merging:
    """Returns how the lists of the sources of `recipe` are merged, in order of `blend` where there is one."""
    return Merging(recipe.candidates, blend, recipe.kept, FALLBACK, {FALLBACK: recipe.sources.get(FALLBACK, 0)})
