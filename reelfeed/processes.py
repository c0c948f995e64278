"""Processes that leave nothing behind: each leads a session, and ends with all that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterable

import psutil

PATIENCE_SECONDS = 20.0


def members(leader: int) -> list[psutil.Process]:
    """Returns every living process of the session that process id `leader` leads, whoever its parent is now."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(process.pid) == leader:
                found.append(process)
    return found


def end_sessions(leaders: Iterable[subprocess.Popen[str]]) -> None:
    """Ends the sessions of `leaders`: asks every leader and its group, waits, and kills what is still there.

    Every leader must have been started with `start_new_session=True`.
    """
    started = list(leaders)
    for leader in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(leader.pid, signal.SIGTERM)
    every = [process for leader in started for process in members(leader.pid)]
    for process in psutil.wait_procs(every, timeout=PATIENCE_SECONDS)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    for process in [late for leader in started for late in members(leader.pid)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    for leader in started:
        leader.wait()
