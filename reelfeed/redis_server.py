"""A redis-server of one's own for a while, on a free loopback port and in its own folder: for tests and benchmarks."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from core.errors import UsageError


@contextlib.contextmanager
def redis_server(folder: Path, *more: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Yields the server's address, once it answers, and its process; raises UsageError where none is installed.

    It keeps nothing once it has ended, unless `more` of its arguments say otherwise.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise UsageError("there is no redis-server on the PATH", next_step="apt-get install redis-server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if b"Ready to accept connections" in line:
                break
        yield f"redis://127.0.0.1:{port}/0", process
    finally:
        process.kill()
        process.wait()
