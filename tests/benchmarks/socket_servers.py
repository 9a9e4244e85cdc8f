"""The servers of the benchmark over sockets: bots on a core of their own, what scrapes them, and a store in trouble."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks.lost_moments import core_seconds
from tests.helpers import fleet, services

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT: Final = Path(__file__).parents[2]
SERVER_CORE: Final = 0
LOAD_CORE: Final = 1
_AWAKE: Final = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
parent = os.getppid()
while os.getppid() == parent:
    os.sched_yield()
"""


@contextmanager
def served(
    kind: str, workers: int, app: str = "tests.benchmarks.socket_bot:app", further: Mapping[str, str] | None = None
) -> Iterator[tuple[int, int]]:
    """Run a bot on its core until the block ends. Yield its port and its process.

    Args:
        kind: kind of the bot, see `socket_bot`.
        workers: number of gunicorn's workers. With 0, uvicorn runs it alone.
        app: another application.
        further: further variables of its environment.

    """
    from tests.benchmarks.socket_bot import KIND  # noqa: PLC0415 - after the check of the machine

    port = services.free_port()
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), "--log-level", "warning", "--no-access-log"]
    if workers:
        command = [sys.executable, "-m", "gunicorn", app, "-k", "uvicorn.workers.UvicornWorker", "-w", str(workers)]
        command += ["-b", f"127.0.0.1:{port}", "--log-level", "warning"]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, KIND: kind, **(further or {})})
    os.sched_setaffinity(process.pid, {SERVER_CORE})  # before it has started any thread or worker
    try:
        _wait(port)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(port: int) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/webhook", method="OPTIONS")
    for _ in range(200):
        try:
            urllib.request.urlopen(request, timeout=5)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the bot did not start")


def cpu(pid: int) -> float:
    """Return the CPU seconds of a process and its children so far, without threads that have ended."""
    return sum(core_seconds(each) for each in [pid, *fleet.children(pid)])


@contextmanager
def scraper(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that scrapes a bot whenever `scrape` tells it. It has what the load leaves of its core."""
    command = [sys.executable, "-m", "tests.benchmarks.scraper", f"http://127.0.0.1:{port}/metrics"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)
    try:
        give_leftovers(process.pid)
        yield process
    finally:
        process.kill()
        process.communicate()


def scrape(process: subprocess.Popen[bytes], after: float) -> None:
    """Let a scraper scrape its bot in so many seconds. Do not wait for it."""
    assert process.stdin is not None
    process.stdin.write(b"%g\n" % after)
    process.stdin.flush()


def give_leftovers(pid: int) -> None:
    """Give a process only what others leave of its core."""
    os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


@contextmanager
def awake() -> Iterator[list[int]]:
    """Keep both cores from resting until the block ends. Yield the processes that do so.

    A virtual machine hands a resting core back to its host, and waits for it when the next request comes. At 800
    requests a second, these waits were most of what a bot's slowest requests took. Who keeps a core awake yields it to
    whatever has work, at once.
    """
    processes = [subprocess.Popen([sys.executable, "-c", _AWAKE, str(core)]) for core in (SERVER_CORE, LOAD_CORE)]
    try:
        yield [each.pid for each in processes]
    finally:
        for each in processes:
            each.kill()
            each.wait()


@contextmanager
def trouble(store: str) -> Iterator[None]:
    """Lock the file of a SQLite store, or stop the server of a Redis store, until the block ends."""
    if store.startswith("sqlite:"):
        connection = sqlite3.connect(store.removeprefix("sqlite:///"), isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.close()
    elif store.startswith("redis:"):
        server = redis_process(store)
        os.kill(server, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(server, signal.SIGCONT)
    else:
        yield


def redis_process(url: str) -> int:
    """Return the process of a Redis server."""
    import redis  # noqa: PLC0415 - after the check of the machine

    with redis.Redis.from_url(url.partition("?")[0]) as client:
        return int(client.info("server")["process_id"])
