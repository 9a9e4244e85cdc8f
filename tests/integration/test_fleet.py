"""Several worker processes behind one port: one set of numbers, whichever worker answers or is killed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tests.helpers import services, stand_in
from tests.helpers.commit_notes import last_commits
from tests.helpers.fleet import (
    SETTLE_SECONDS,
    Scrape,
    WhatsApp,
    answered,
    children,
    conserved,
    scrape,
    served,
)
from tests.helpers.waiting import MOST_SECONDS, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from chatvitals.integrations.asgi import ASGIApp

CUSTOMERS = int(os.environ.get("CHATVITALS_FLEET_CUSTOMERS", "150"))  # those of the test with kill -9
MOST_KILLS = 10  # a slow machine takes longer for its customers, and each kill puts some of them in doubt
APP = "tests.helpers.fleet_bot:app"
FLASK = "tests.helpers.flask_fleet_bot:app"
SERVERS = {
    "uvicorn": ["-m", "uvicorn", APP, "--workers", "{workers}", "--port", "{port}", "--log-level", "warning"],
    "gunicorn": ["-m", "gunicorn", APP, "-w", "3", "-k", "uvicorn.workers.UvicornWorker", "-b", "127.0.0.1:{port}"],
    "gunicorn-preload": [
        *("-m", "gunicorn", APP, "--preload", "-w", "3", "-k", "uvicorn.workers.UvicornWorker"),
        *("-b", "127.0.0.1:{port}"),
    ],
    "gunicorn-asgi-preload": ["-m", "gunicorn", APP, "--preload", "-w", "3", "-k", "asgi", "-b", "127.0.0.1:{port}"],
    "gevent": ["-m", "gunicorn", FLASK, "-w", "{workers}", "-k", "gevent", "-b", "127.0.0.1:{port}"],
    "gevent-preload": [
        *("-m", "gunicorn", FLASK, "--preload", "-w", "{workers}", "-k", "gevent", "-b", "127.0.0.1:{port}"),
    ],
}


def command(server: str, port: int, workers: int = 4) -> list[str]:
    if server.startswith("gevent") and find_spec("gevent") is None:
        services.skip_without("gevent")
    return [sys.executable, *(word.format(port=port, workers=workers) for word in SERVERS[server])]


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty store."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'fleet.db'}"
        return
    with services.redis_server() as url:
        yield url


def environment(graph_port: int, store: str, folder: Path) -> dict[str, str]:
    return {
        "BOT_TIMES": str(folder / "times"),
        "GRAPH_URL": f"http://127.0.0.1:{graph_port}",
        "CHATVITALS_STORE": store,
        "CHATVITALS_SETTLE_AFTER": f"{SETTLE_SECONDS:g}",
        "WHATSAPP_ACCESS_TOKEN": stand_in.TOKEN,
        "NO_PROXY": "127.0.0.1",
    }


def agreed(urls: Sequence[str]) -> Scrape | None:
    """Return a scrape, if all show the same. A worker may commit its last events, or its own counts, between two."""
    first, *others = (scrape(url) for url in urls)
    return first if all(other.shared() == first.shared() for other in others) else None


@pytest.mark.parametrize("server", SERVERS)
def test_workers_count_everything_once(
    server: str, store: str, serve: Callable[[ASGIApp], int], tmp_path: Path
) -> None:
    """Messages and answers of one customer go through different processes, forked or spawned. Numbers are exact."""
    whatsapp, port = WhatsApp(), services.free_port()
    environ = environment(serve(whatsapp.app), store, tmp_path)
    whatsapp.urls = [f"http://127.0.0.1:{port}"]
    with served(command(server, port), port, environ, tmp_path / "log"):
        scrape(whatsapp.urls[0])  # a worker answers: the port is open before, and customers would queue
        whatsapp.run(whatsapp.day(range(40), turns=2, at_once=20))
        whatsapp.finish()
        whatsapp.returned(tmp_path / "times")
        whatsapp.counted(80)
        last = until("the same numbers of all workers", lambda: agreed(8 * whatsapp.urls))
    workers = {pid for diary in whatsapp.diaries.values() for pid, _ in diary.touched}
    assert len(workers) > 1, "one process did it all: the test shows nothing"
    assert last("messages_received_total") == 80
    assert last("turns_opened_total") == 80
    assert last("turns_total", outcome="answered") == 80
    assert last("sends_total", result="accepted") == 80
    assert last("internal_errors_total") == last("events_dropped_total") == 0
    whatsapp.waited(last("response_seconds_sum"), tmp_path / "times")
    conserved(last)


@pytest.mark.parametrize("server", ["uvicorn", "gevent"])
def test_what_waits_is_committed_when_a_server_ends(
    server: str, store: str, serve: Callable[[ASGIApp], int], tmp_path: Path
) -> None:
    """SIGTERM right after the last answer loses nothing, in no worker."""
    whatsapp, port = WhatsApp(), services.free_port()
    environ = environment(serve(whatsapp.app), store, tmp_path)
    whatsapp.urls = [f"http://127.0.0.1:{port}"]
    with served(command(server, port, 2), port, environ, tmp_path / "log") as process:
        whatsapp.run(whatsapp.day(range(20), turns=1, at_once=20))
        whatsapp.returned(tmp_path / "times")
        process.terminate()
        process.wait(MOST_SECONDS)
    with served(command(server, port, 2), port, environ, tmp_path / "log"):
        after = answered(whatsapp.urls[0], 20)
    assert after("messages_received_total") == after("turns_total", outcome="answered") == 20


@pytest.mark.parametrize(
    ("server", "crowd", "least"),
    [("uvicorn", (CUSTOMERS, 12), 3), ("gevent-preload", (40, 12), 2)],
    ids=["uvicorn", "gevent-preload"],
)
def test_kill_9_of_workers_breaks_no_law(
    server: str, crowd: tuple[int, int], least: int, store: str, serve: Callable[[ASGIApp], int], tmp_path: Path
) -> None:
    """Conservation laws hold. Without a kill the counts equal the customers' diaries.

    On Redis the four workers are those of two hosts: two servers that share nothing but the store.
    """
    whatsapp, ports = WhatsApp(), [services.free_port() for _ in range(1 if store.startswith("sqlite") else 2)]
    environ = environment(serve(whatsapp.app), store, tmp_path)
    whatsapp.urls = [f"http://127.0.0.1:{port}" for port in ports]
    whatsapp.patience = 1.5  # the worker that was to answer may be gone
    kills: list[tuple[int, float]] = []
    rng = random.Random(4)

    async def kill_now_and_then(supervisors: Sequence[int]) -> None:
        while len(kills) < MOST_KILLS:
            await asyncio.sleep(1.5)
            workers = children(rng.choice(supervisors))
            if len(workers) > 2 // len(supervisors):  # the server brings up new ones; some always answer
                pid = rng.choice(workers)
                kills.append((pid, time.monotonic()))
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    async def day(supervisors: Sequence[int]) -> None:
        killing = asyncio.create_task(kill_now_and_then(supervisors))
        for came in range(0, 10 * crowd[0], crowd[0]):
            await whatsapp.day(range(came, came + crowd[0]), turns=2, at_once=crowd[1])
            if len(kills) >= least:  # new workers of a busy machine come late, and the last one is spared
                break
        killing.cancel()
        with suppress(asyncio.CancelledError):
            await killing

    with ExitStack() as stack:
        hosts = [
            stack.enter_context(served(command(server, port, 4 // len(ports)), port, environ, tmp_path / f"{port}"))
            for port in ports
        ]
        whatsapp.run(day([host.pid for host in hosts]))
        whatsapp.finish()
        time.sleep(SETTLE_SECONDS + 1.5)
        after = until("the same numbers of all hosts", lambda: agreed(whatsapp.urls))
    assert len(kills) >= least, "hardly anybody was killed: the test shows nothing"
    diaries = list(whatsapp.diaries.values())
    commits = last_commits(tmp_path / "times.commits")
    sure = [diary for diary in diaries if not diary.in_doubt(kills, commits)]
    sys.stdout.write(f"{len(kills)} workers killed; {len(diaries) - len(sure)} of {len(diaries)} customers in doubt\n")
    assert len(sure) > len(diaries) / 5
    conserved(after)
    for measured, counted in (
        ("messages", after("messages_received_total")),
        ("turns", after("turns_opened_total")),
        ("waits", after("turns_total", outcome="answered")),
    ):
        values = [(diary in sure, getattr(diary, measured)) for diary in diaries]
        amounts = [(known, value if isinstance(value, int) else len(value)) for known, value in values]
        assert sum(n for known, n in amounts if known) <= counted <= sum(n for _, n in amounts), measured
