"""The architecture is guarded by a machine: each rule of setup.cfg catches the violation that it is there for."""

from __future__ import annotations

import configparser
import os
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import core
from core.settings import ROOT

PACKAGES = ("core", "dags", "features", "jobs", "models", "reelfeed", "sim")

VIOLATIONS = {
    "a feature reads a model": ("features/planted.py", "import models.value", "A layer imports only"),
    "a model reads a job": ("models/planted.py", "import jobs.ingest_events", "A layer imports only"),
    "a job reads a DAG": ("jobs/planted.py", "import dags._kit", "A layer imports only"),
    "a DAG reads the command line": ("dags/planted.py", "import reelfeed.night", "A layer imports only"),
    "a model peeks at the simulated truth": ("models/planted.py", "import sim.world", "A layer imports only"),
    "the simulated world reads a model": ("sim/planted.py", "import models.value", "A layer imports only"),
    "the simulated world reads a feature": ("sim/planted.py", "import features.group", "The simulated world knows"),
    "the machinery reads a table": ("core/lake.py", "import core.tables.feeds", "The machinery of core"),
    "a group reads a group": (
        "features/groups/planted.py",
        "import features.groups.video_reception",
        "A feature group",
    ),
    "a source reads a source": ("models/sources/planted.py", "import models.sources.trending", "A candidate source"),
    "a rule reads a rule": ("models/rules/planted.py", "import models.rules.seen", "A re-ranking rule"),
}


def broken_rules(tree: Path) -> list[str]:
    """The names of the rules that the sources below `tree` break."""
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--config", "setup.cfg", "--no-cache"],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree), "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Contracts:" in done.stdout, done.stdout + done.stderr
    return [line.removesuffix(" BROKEN") for line in done.stdout.splitlines() if line.endswith(" BROKEN")]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("sources")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "setup.cfg", tree)
    return tree


def test_the_sources_break_no_rule(sources: Path) -> None:
    assert broken_rules(sources) == []


@pytest.mark.parametrize("case", VIOLATIONS)
def test_a_planted_violation_is_caught(sources: Path, case: str) -> None:
    file, line, rule = VIOLATIONS[case]
    path = sources / file
    before = path.read_text("utf-8") if path.exists() else None
    path.write_text(f"{line}\n{before or ''}", "utf-8")
    try:
        broken = broken_rules(sources)
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before, "utf-8")
    assert [name for name in broken if name.startswith(rule)], f"{case}: broken are {broken}"


def test_every_module_of_the_machinery_is_guarded() -> None:
    rules = configparser.ConfigParser()
    rules.read(ROOT / "setup.cfg")
    guarded = rules["importlinter:contract:core-knows-no-table"]["source_modules"].split()
    assert guarded == [f"core.{module.name}" for module in pkgutil.iter_modules(core.__path__) if not module.ispkg]
