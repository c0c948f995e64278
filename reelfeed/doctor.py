"""What is wrong with this installation, and how to mend each fault."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from core.errors import ReelfeedError
from core.java import OLDEST, java_home, java_version
from core.java_start import ARCHIVE
from core.recipe import recipe_names
from core.settings import ROOT, Settings, load_settings
from reelfeed.options import recipe_of

LOCK = ROOT / "requirements" / "lock.txt"
PYTHONS = ((3, 11), (3, 12))
PROFILES = ("local", "cluster")
MEMORY_GIB, DISK_GIB = 6, 5
REINSTALL = "make clean-environment setup"


@dataclass(frozen=True)
class Finding:
    """What one check saw. `mend` is the command or edit that mends it; a finding without one is good."""

    name: str
    text: str
    mend: str = ""

    @property
    def problem(self) -> bool:
        return bool(self.mend)

    def __str__(self) -> str:
        if not self.problem:
            return f"ok       {self.name}: {self.text}"
        return f"PROBLEM  {self.name}: {self.text}\n         mend it: {self.mend}"


def check(settings: Settings) -> list[Finding]:
    """Returns what every check saw, in the order in which faults are best mended. Nothing is changed."""
    found: list[Finding] = []
    for name, look in CHECKS.items():
        try:
            found += look(settings)
        except ReelfeedError as error:
            found.append(Finding(name, error.what, error.next_step or f"look at {error.where}"))
    return found


def _python(_: Settings) -> Iterator[Finding]:
    seen = ".".join(str(part) for part in sys.version_info[:3])
    fits = sys.version_info[:2] in PYTHONS
    yield Finding("python", seen, "" if fits else "install Python 3.11 or 3.12, then " + REINSTALL)


def _packages(_: Settings) -> Iterator[Finding]:
    wrong = different_from_lock(LOCK.read_text("utf-8"))
    yield Finding("packages", "; ".join(wrong) or "as locked in requirements/lock.txt", REINSTALL if wrong else "")


def different_from_lock(lock: str) -> list[str]:
    """Returns what is installed otherwise than the text of a requirements lock says, one phrase a package."""
    from packaging.requirements import Requirement

    wrong = []
    for line in re.findall(r"^([A-Za-z0-9][^\\\n]*)", lock, re.MULTILINE):
        wanted = Requirement(line.strip())
        if wanted.marker and not wanted.marker.evaluate():
            continue
        try:
            seen = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{wanted.name} is missing")
            continue
        if seen not in wanted.specifier:
            wrong.append(f"{wanted.name} is {seen}, locked {wanted.specifier}")
    return wrong


def _pyspark(_: Settings) -> Iterator[Finding]:
    try:
        metadata.distribution("pyspark-client")
    except metadata.PackageNotFoundError:
        pass
    else:
        yield Finding("pyspark", "pyspark-client is installed: its files overwrite pyspark's", REINSTALL)
        return
    try:
        changed = changed_files(metadata.distribution("pyspark"))
    except metadata.PackageNotFoundError:
        yield Finding("pyspark", "not installed", REINSTALL)
        return
    text = f"{len(changed)} files differ from those it came with, first {changed[0]}" if changed else "whole"
    yield Finding("pyspark", text, REINSTALL if changed else "")


def changed_files(distribution: metadata.Distribution) -> list[str]:
    """Returns the Python files of `distribution` that are gone or are not what its RECORD says they were."""
    changed = []
    for file in distribution.files or []:
        if file.suffix != ".py" or file.hash is None:
            continue
        path = Path(str(file.locate()))
        # RECORD holds unpadded URL-safe base64 (PEP 376, PEP 427).
        digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()) if path.exists() else b""
        if digest.rstrip(b"=").decode() != file.hash.value:
            changed.append(str(file))
    return changed


def _java(settings: Settings) -> Iterator[Finding]:
    home = java_home(settings.home_path.absolute())
    yield Finding("java", f"{java_version(home / 'bin' / 'java')} in {home} (at least {OLDEST})")
    text = (
        "read from an archive"
        if ARCHIVE.exists()
        else "not archived, every task starts slower (make setup, where Java can)"
    )
    yield Finding("java classes", text)


def _configuration(_: Settings) -> Iterator[Finding]:
    for profile in PROFILES:
        load_settings(profile)
    for recipe in recipe_names():
        recipe_of(recipe)
    yield Finding("configuration", f"profiles {', '.join(PROFILES)}; recipes {', '.join(recipe_names())}")


def _home(settings: Settings) -> Iterator[Finding]:
    home = settings.home_path.absolute()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        yield Finding("home", f"{home} cannot be written: {error.strerror}", "set REELFEED_HOME to a folder of yours")
        return
    yield Finding("home", str(home))
    free = shutil.disk_usage(home).free / 2**30
    mend = "" if free >= DISK_GIB else f"free {DISK_GIB} GiB there, or set REELFEED_HOME"
    yield Finding("disk", f"{free:.0f} GiB free", mend)


def _memory(_: Settings) -> Iterator[Finding]:
    import psutil

    free = psutil.virtual_memory().available / 2**30
    mend = "" if free >= MEMORY_GIB else f"end other programs: a night wants up to {MEMORY_GIB} GiB"
    yield Finding("memory", f"{free:.0f} GiB free", mend)


def _champion(settings: Settings) -> Iterator[Finding]:
    from models.registry import champion

    for recipe in recipe_names():
        # Asking would create the database.
        there = not settings.tracking_uri.startswith("sqlite") or (settings.home_path / "mlflow.db").exists()
        serving = champion(settings, recipe) if there else None
        text = f"version {serving[1]} serves {recipe}" if serving else f"none yet for {recipe}: make run trains one"
        yield Finding("champion", text)


CHECKS: dict[str, Callable[[Settings], Iterator[Finding]]] = {
    "python": _python,
    "packages": _packages,
    "pyspark": _pyspark,
    "java": _java,
    "configuration": _configuration,
    "home": _home,
    "memory": _memory,
    "champion": _champion,
}
