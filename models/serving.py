"""Which sources a recipe serves."""

from __future__ import annotations

from core.errors import unknown
from core.recipe import Recipe
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
