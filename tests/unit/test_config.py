"""Settings and recipes: a slip in a file is told at once, with what was meant; decisions have a hash."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from core import recipe as recipe_module
from core.config import load, parse
from core.errors import UsageError
from core.recipe import Recipe, RuleUse, load_recipe, recipe_names
from core.settings import CONF, Settings, load_settings

LOCAL = (CONF / "local.toml").read_text("utf-8")
RECIPE = (CONF / "feeds" / "for_you.toml").read_text("utf-8")


@dataclass(frozen=True)
class Weights:
    value: dict[str, float]


def settings_from(folder: Path, text: str) -> Settings:
    path = folder / "mine.toml"
    path.write_text(text, "utf-8")
    return load(Settings, path)


def test_every_shipped_file_loads() -> None:
    for profile in ("local", "cluster"):
        assert load_settings(profile).spark.master
    for name in recipe_names():
        assert load_recipe(name).name == name


def test_an_unknown_key_names_its_nearest_neighbour_and_its_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        settings_from(tmp_path, LOCAL.replace("shuffle_partitions", "shufle_partitions"))
    assert "unknown key 'spark.shufle_partitions' (did you mean 'shuffle_partitions'?)" in caught.value.what
    assert caught.value.where.endswith("mine.toml")
    assert caught.value.exit_code == 2


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    text = LOCAL.replace("seed ", "sead ").replace('"2g"', "2").replace("test_days          = 2", 'test_days = "two"')
    with pytest.raises(UsageError) as caught:
        settings_from(tmp_path, text)
    for fault in ("'sead'", "missing key 'seed'", "spark.driver_memory must be a str", "split.test_days must be a int"):
        assert fault in caught.value.what


@pytest.mark.parametrize("value", ["true", "2.5", '"2"', "[2]"])
def test_a_whole_number_is_a_whole_number(tmp_path: Path, value: str) -> None:
    with pytest.raises(UsageError, match="threads must be a int"):
        settings_from(tmp_path, LOCAL.replace("threads          = 2", f"threads = {value}"))


def test_a_whole_number_serves_where_a_fraction_is_meant() -> None:
    value = parse(Weights, {"value": {"like": 2}}, where="test").value["like"]
    assert (value, type(value)) == (2.0, float)


def test_what_is_not_toml_and_what_is_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not valid TOML"):
        settings_from(tmp_path, "home = ")
    with pytest.raises(UsageError) as caught:
        load_settings("lokal")
    assert {"local", "cluster"} <= set(caught.value.choices)
    with pytest.raises(UsageError) as caught:
        load_recipe("for_me")
    assert "for_you" in caught.value.choices


def test_the_home_can_be_moved_without_an_edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELFEED_HOME", str(tmp_path / "elsewhere"))
    settings = load_settings("local")
    assert settings.home_path == tmp_path / "elsewhere"
    assert settings.lake.startswith(str(tmp_path))
    assert settings.tracking_uri.startswith(f"sqlite:///{tmp_path}")


def test_a_recipe_file_with_an_unknown_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "feeds").mkdir()
    (tmp_path / "feeds" / "mine.toml").write_text(RECIPE.replace("length ", "lenght "), "utf-8")
    monkeypatch.setattr(recipe_module, "CONF", tmp_path)
    with pytest.raises(UsageError, match=r"'lenght' \(did you mean 'length'\?\)"):
        load_recipe("mine")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("scored     = 100", "scored     = 40", "length 50, scored 40 and candidates 400"),
        ("candidates = 400", "candidates = 80", "scored 100 and candidates 80"),
        ("exploration_slots = 2", "exploration_slots = 51", "exploration_slots must be from 0 to length 50, not 51"),
        ("fresh = 4", "fresher = 4", r"\[kept\] names fresher"),
    ],
)
def test_a_recipe_whose_counts_or_sources_are_at_odds_is_refused(
    old: str, new: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "feeds").mkdir()
    assert old in RECIPE
    (tmp_path / "feeds" / "mine.toml").write_text(RECIPE.replace(old, new), "utf-8")
    monkeypatch.setattr(recipe_module, "CONF", tmp_path)
    with pytest.raises(UsageError, match=said):
        load_recipe("mine")


CHANGES = {
    "name": "other",
    "length": 49,
    "surface": 2,
    "candidates": 399,
    "scored": 99,
    "exploration_slots": 3,
    "kept": {"fresh": 3},
    "sources": {"trending": 1},
    "value": {"like": 1.0},
    "varied": {"like": 0.2},
    "rules": (RuleUse("seen", {}),),
}


@pytest.mark.parametrize("decision", CHANGES)
def test_the_hash_changes_with_every_decision(decision: str) -> None:
    shipped = load_recipe("for_you")
    assert replace(shipped, **{decision: CHANGES[decision]}).hash != shipped.hash  # type: ignore[arg-type]


def test_the_order_and_the_parameters_of_rules_are_decisions() -> None:
    shipped = load_recipe("for_you")
    assert replace(shipped, rules=shipped.rules[::-1]).hash != shipped.hash
    stricter = (*shipped.rules[:-1], RuleUse(shipped.rules[-1].rule, {"least": 2}))
    assert replace(shipped, rules=stricter).hash != shipped.hash


def test_the_hash_stays_with_words_and_with_the_order_of_a_table() -> None:
    shipped = load_recipe("for_you")
    reworded = replace(shipped, doc="Other words.", owner="another-team")
    assert reworded.hash == shipped.hash
    shuffled: Recipe = replace(shipped, sources=dict(reversed(shipped.sources.items())))
    assert shuffled.hash == shipped.hash
