"""What a feed is made of: sources and quotas, value weights, rules in order. One TOML file of conf/feeds/ a feed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from core.config import load
from core.errors import UsageError
from core.settings import CONF


@dataclass(frozen=True)
class RuleUse:
    """One rule of a recipe, in its place: the rule's file name and its parameters."""

    rule: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class _RecipeFile:
    doc: str
    owner: str
    length: int
    surface: int
    candidates: int
    scored: int
    exploration_slots: int
    sources: dict[str, int]
    kept: dict[str, int]
    value: dict[str, float]
    rules: tuple[dict[str, Any], ...]
    varied: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """A feed's decisions. `length` videos a user on `surface`, chosen from `candidates` merged candidates.

    Of these the pre-ranker leaves `scored` to the ranker. `sources` maps a source to the number of candidates asked of
    it per user, `kept` to how many of its first no cut may drop; `value` maps every head to its weight per unit of
    calibrated prediction, `varied` those whose weight is drawn for each user to the share by which it may differ;
    `rules` are applied top to bottom, then `exploration_slots` of a feed, at most, are drawn.
    """

    name: str
    doc: str
    owner: str
    length: int
    surface: int
    candidates: int
    scored: int
    exploration_slots: int
    sources: dict[str, int]
    kept: dict[str, int]
    value: dict[str, float]
    rules: tuple[RuleUse, ...]
    varied: dict[str, float] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        """Twelve hex digits that change when any decision of the recipe does."""
        content = {key: value for key, value in asdict(self).items() if key not in ("doc", "owner")}
        if not self.varied:
            del content["varied"]  # Recipes that vary nothing keep the hash of before there was such a thing.
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def load_recipe(name: str) -> Recipe:
    """Returns the recipe `name` from conf/feeds; raises UsageError for an unknown recipe or key, or counts at odds."""
    path = CONF / "feeds" / f"{name}.toml"
    file = load(_RecipeFile, path)
    if not file.length <= file.scored <= file.candidates:
        raise UsageError(
            f"length {file.length}, scored {file.scored} and candidates {file.candidates} must not fall in this order",
            where=str(path),
            next_step="ask for more candidates than the ranker scores, and score more than the feed is long",
        )
    if not 0 <= file.exploration_slots <= file.length:
        raise UsageError(
            f"exploration_slots must be from 0 to length {file.length}, not {file.exploration_slots}", where=str(path)
        )
    strangers = sorted(file.kept.keys() - file.sources.keys())
    if strangers:
        raise UsageError(
            f"[kept] names {', '.join(strangers)}, which [sources] does not ask", where=str(path), choices=file.sources
        )
    rules = tuple(
        RuleUse(str(rule.get("rule", "")), {key: value for key, value in rule.items() if key != "rule"})
        for rule in file.rules
    )
    decisions = {key: value for key, value in vars(file).items() if key != "rules"}
    return Recipe(name=name, rules=rules, **decisions)


def recipe_names() -> list[str]:
    """Names of all recipes, sorted."""
    return sorted(path.stem for path in (CONF / "feeds").glob("*.toml"))
