"""Servers of other projects that tests run for themselves, on loopback and free ports, with nothing kept."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_START_SECONDS = 10.0
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
    """Wait until a process accepts connections on a port."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"{process.args!r} does not listen on {port}")


@contextmanager
def redis_server() -> Iterator[str]:
    """Run a Redis server in memory. Gives its URL."""
    program, port = require("redis-server"), free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        process = subprocess.Popen([*command, "--dir", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until_listening(port, process)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            process.wait(10)
