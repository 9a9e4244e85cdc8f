"""Servers of other projects that tests run for themselves, on loopback and free ports, with nothing kept."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_START_SECONDS = 90.0  # of a busy machine: the wait ends at once if the process does
_END_SECONDS = 60.0
_PORTS = 3_000  # for each process of a test run
_numbers = itertools.count(random.randrange(_PORTS))

in_fast_test = False
"""Whether the running test is marked as fast, so that it may need no other program."""


def require(program: str) -> str:
    """Return where a program is. Without it, skip the test, or fail where `CHATVITALS_REQUIRE_SERVICES` is 1."""
    if in_fast_test:
        pytest.fail(f"a fast test needs no other program, and this test needs {program}: mark it as slow")
    found = shutil.which(program)
    if found is None:
        skip_without(program)
    return found


def skip_without(program: str) -> NoReturn:
    """Skip the test that needs a program, or fail where `CHATVITALS_REQUIRE_SERVICES` is 1, as in CI."""
    reason = f"{program} is not installed"
    if os.environ.get("CHATVITALS_REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    """Return a port of loopback that nobody listens on.

    The system gives ports from 32768 on to clients. Such a port could be taken before its server starts, and a client
    that waits for the server could even be given that port and connect to itself. So the ports here lie below. Each
    process of a test run has its own.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
    for _ in range(_PORTS):
        port = 20_000 + worker * _PORTS + next(_numbers) % _PORTS
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port of loopback is free")


def wait_until_listening(port: int, process: subprocess.Popen[bytes], seconds: float = _START_SECONDS) -> None:
    """Wait until a process accepts connections on a port. A process that ends fails the test at once."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"{process.args!r} does not listen on {port} within {seconds:g} s")


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and kill it if it does not."""
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_END_SECONDS)


@contextmanager
def running(
    command: Sequence[str | Path], log: Path, port: int = 0, *, group: bool = False, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends. After an error, print its log.

    Args:
        command: the program and its words.
        log: the file that takes what it writes. An existing file grows.
        port: begin once the program listens on this port, or at once if it is 0.
        group: whether the program leads a group of its own. At the end, all of the group are killed.
        options: further options of `subprocess.Popen`, such as `cwd` and `env`.

    """
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=group, **options)
    try:
        if port:
            wait_until_listening(port, process)
        yield process
    except BaseException:
        sys.stderr.write(log.read_text(errors="replace"))
        raise
    finally:
        end(process)
        if group:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def redis_server() -> Iterator[str]:
    """Run a Redis server in memory. Gives its URL."""
    program, port = require("redis-server"), free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with running([*command, "--dir", folder], Path(folder) / "log", port):
            yield f"redis://127.0.0.1:{port}/0"
