"""What drives a fleet: a stand-in for WhatsApp that notes which worker did what, and customers with diaries."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from chatvitals.simulator import payloads
from chatvitals.simulator.people import BusinessNumber, Person
from tests.helpers import services

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.requests import Request

NUMBER = BusinessNumber()
ROOT = Path(__file__).parents[2]
SETTLE_SECONDS = 1.0
IN_DOUBT_SECONDS = 1.0  # what a worker did so shortly before it was killed may not have been committed


@dataclass
class Diary:
    """What one customer lived through."""

    person: Person
    loop: asyncio.AbstractEventLoop  # the customer's
    messages: int = 0
    turns: int = 0
    waits: list[float] = field(default_factory=list)
    touched: list[tuple[int, float]] = field(default_factory=list)  # by which process, when
    asked: float | None = None
    replied: asyncio.Event = field(default_factory=asyncio.Event)

    def in_doubt(self, kills: Sequence[tuple[int, float]]) -> bool:
        """Return whether a worker was killed that had just dealt with this customer."""
        return any(
            pid == killed and at - IN_DOUBT_SECONDS <= when <= at + 0.2
            for pid, when in self.touched
            for killed, at in kills
        )


class WhatsApp:
    """Takes replies, gives messages to whichever worker answers, and again until one says 200."""

    def __init__(self) -> None:
        self.diaries: dict[str, Diary] = {}
        self.urls: list[str] = []  # of the hosts, behind each of which workers take turns
        self.app = Starlette(routes=[Route("/{number}/messages", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> JSONResponse:
        asked = (await request.json())["to"]
        diary = self.diaries[asked]
        now = time.monotonic()
        diary.touched.append((int(request.headers["x-worker"]), now))
        if diary.asked is not None:
            diary.waits.append(now - diary.asked)
            diary.asked = None
            # This runs in the server's thread: the customer's event loop must be woken, or it sleeps until its timeout.
            diary.loop.call_soon_threadsafe(diary.replied.set)
        message_id = f"wamid.out{asked}.{len(diary.touched)}"
        return JSONResponse(payloads.accepted(diary.person, asked, message_id))

    async def post(self, client: httpx.AsyncClient, diary: Diary, message_id: str) -> None:
        """Deliver a message at least once."""
        content = {"type": "text", "text": {"body": "hello"}}
        body = payloads.webhook(NUMBER, [payloads.message(diary.person, message_id, content, at=time.time())])
        for _ in range(100):
            with suppress(httpx.TransportError):
                # a connection of its own: another worker may take each message
                url = f"{random.choice(self.urls)}/webhook"
                answer = await client.post(url, content=body, headers={"connection": "close"})
                if answer.status_code == 200:
                    diary.touched.append((int(answer.headers["x-worker"]), time.monotonic()))
                    return
            await asyncio.sleep(0.1)
        raise AssertionError("no worker took a message")

    async def converse(self, client: httpx.AsyncClient, index: int, turns: int) -> None:
        """Let one customer ask, wait for the answer, and ask again."""
        diary = Diary(Person("", phone=f"1555{index:07d}"), asyncio.get_running_loop())
        self.diaries[diary.person.phone] = diary
        for turn in range(turns):
            diary.replied.clear()
            diary.asked = time.monotonic()
            diary.messages += 1
            diary.turns += 1
            await self.post(client, diary, f"wamid.in{index}.{turn}")
            try:
                await asyncio.wait_for(diary.replied.wait(), 1.5)
            except TimeoutError:
                return  # whoever was to answer is gone
            await asyncio.sleep(0.3)

    async def day(self, customers: int, turns: int, at_once: int) -> None:
        """Let all customers come, some at a time."""
        places = asyncio.Semaphore(at_once)
        async with httpx.AsyncClient(timeout=5, trust_env=False, limits=httpx.Limits(max_connections=64)) as client:

            async def come(index: int) -> None:
                async with places:
                    await self.converse(client, index, turns)

            await asyncio.gather(*(come(index) for index in range(customers)))


class Scrape:
    """One scrape. Values are summed over the labels that are not asked for."""

    def __init__(self, text: str) -> None:
        self.samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def __call__(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of a name that have these labels."""
        return sum(
            sample.value
            for sample in self.samples
            if sample.name == f"chatvitals_{name}" and labels.items() <= sample.labels.items()
        )

    def shared(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Return what must be the same whoever answers: all but the process's own and what scraping itself moves."""
        own = ("store_up", "queue_", "build_info", "store_commit_seconds")
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for sample in self.samples
            if not sample.name.removeprefix("chatvitals_").startswith(own)
        }


def conserved(scrape: Scrape) -> None:
    """Check the laws that hold at any moment (conversations/README.md 4 and 6)."""
    ended = {outcome: scrape("turns_total", outcome=outcome) for outcome in ("answered", "dismissed", "failed")}
    unanswered = scrape("turns_total", outcome="unanswered")
    assert scrape("turns_opened_total") == sum(ended.values()) + unanswered + scrape("turns_open")
    assert scrape("response_seconds_count") == ended["answered"]
    assert scrape("wait_seconds_count") == sum(ended.values()) - ended["dismissed"] + unanswered


@contextmanager
def served(command: Sequence[str], port: int, environ: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server of several workers in a session of its own. At the end all of them are gone."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("CHATVITALS_")}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, cwd=ROOT, env={**given, **environ}, start_new_session=True
        )
    try:
        services.wait_until_listening(port, process)
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(5)


def children(pid: int) -> list[int]:
    """Return the processes that `pid` has started and that serve: not helpers of multiprocessing."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed if b"resource_tracker" not in Path(f"/proc/{child}/cmdline").read_bytes()]


def scrape(url: str) -> Scrape:
    """Scrape whichever worker answers."""
    answer = httpx.get(f"{url}/metrics", headers={"connection": "close"}, trust_env=False, timeout=5)
    answer.raise_for_status()
    return Scrape(answer.text)
