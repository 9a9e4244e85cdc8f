"""What drives a fleet: a stand-in for WhatsApp that notes which worker did what, and customers with diaries."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from prometheus_client.parser import text_string_to_metric_families

from chatvitals.simulator.people import Person
from chatvitals.whatsapp import signatures
from tests.helpers import services, stand_in
from tests.helpers.waiting import until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[2]
SETTLE_SECONDS = 1.0
_MOST_SECONDS = 60.0
ROUNDING = 0.01  # seconds, in a sum over all turns
IN_DOUBT_SECONDS = 1.0  # what a worker did so shortly before its last commit may have waited for the next one


@dataclass
class Diary:
    """What one customer lived through."""

    messages: int = 0
    turns: int = 0
    waits: list[tuple[float, float]] = field(default_factory=list)  # when a question was sent, when a reply showed
    touched: list[tuple[int, float]] = field(default_factory=list)  # by which process, when
    asked: float | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    replied: asyncio.Event = field(default_factory=asyncio.Event)

    def in_doubt(self, kills: Sequence[tuple[int, float]], commits: Mapping[int, float]) -> bool:
        """Return whether a worker was killed that had dealt with this customer and may not have committed that.

        Args:
            kills: which worker was killed, when.
            commits: when the last commit of a worker began, in monotonic seconds.

        """
        return any(
            pid == killed and commits.get(pid, 0.0) - IN_DOUBT_SECONDS <= when <= at + 0.2
            for pid, when in self.touched
            for killed, at in kills
        )

    def touch(self, worker: str) -> None:
        """Note that a worker has dealt with this customer."""
        self.touched.append((int(worker), time.monotonic()))

    def ask(self) -> None:
        """Note that the customer asks now."""
        self.arrived.clear()
        self.replied.clear()
        self.asked = time.time()
        self.messages += 1
        self.turns += 1

    def reply(self) -> None:
        """Note that the phone shows a reply, and which worker sent it."""
        self.touch(stand_in.sender.get())
        if self.asked is not None:
            self.waits.append((self.asked, time.time()))
            self.asked = None
            self.replied.set()


class WhatsApp(httpx.AsyncBaseTransport):
    """A stand-in whose webhooks go to whichever worker of whichever host answers, and the customers' diaries."""

    def __init__(self) -> None:
        self.diaries: dict[str, Diary] = {}
        self.urls: list[str] = []  # of the hosts, behind each of which workers take turns
        self.secret = stand_in.SECRET  # which signs webhooks
        self.patience = 60.0  # seconds that a customer waits for an answer
        self._bare = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=64))
        self._stand_in = stand_in.StandIn("http://bot.example/webhook", transport=self)
        self.app = self._stand_in
        self.run = self._stand_in.run

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a webhook to one of the hosts. Another worker may take each, so each has a connection of its own."""
        host = httpx.URL(random.choice(self.urls))
        request.url = request.url.copy_with(host=host.host, port=host.port)
        request.headers["connection"] = "close"
        request.headers["x-hub-signature-256"] = signatures.sign(request.content, self.secret)
        response = await self._bare.handle_async_request(request)
        if response.status_code != 200:
            return response
        for change in json.loads(request.content)["entry"][0]["changes"]:
            for message in change["value"].get("messages", ()):
                self.diaries[message["from"]].touch(response.headers["x-worker"])
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._bare.aclose()

    async def converse(self, index: int, turns: int) -> None:
        """Let one customer ask, wait for the answer, and ask again."""
        diary = Diary()
        person = Person("", phone=f"1555{index:07d}")
        self.diaries[person.phone] = diary
        chat = self._stand_in.join(person, diary.reply)
        for _ in range(turns):
            diary.ask()
            await self._stand_in.write(chat, arrived=diary.arrived.set)
            async with asyncio.timeout(_MOST_SECONDS):
                await diary.arrived.wait()
            try:
                await asyncio.wait_for(diary.replied.wait(), self.patience)
            except TimeoutError:
                return  # whoever was to answer is gone
            await asyncio.sleep(0.3)

    async def day(self, customers: Iterable[int], turns: int, at_once: int) -> None:
        """Let all customers come, some at a time. The statuses of their last replies may still be on their way."""
        places = asyncio.Semaphore(at_once)

        async def come(index: int) -> None:
            async with places:
                await self.converse(index, turns)

        await asyncio.gather(*(come(index) for index in customers))

    def finish(self) -> None:
        """Wait until all webhooks have been delivered, statuses of replies included."""
        self.run(self._stand_in.finish())

    def returned(self, bot_times: Path) -> None:
        """Wait until each send that reached a customer has returned in the bot. A busy bot may see that late.

        Args:
            bot_times: the file in which the bot noted its times, an answer a line.

        """
        replies = sum(len(diary.waits) for diary in self.diaries.values())
        until("the return of the last send", lambda: len(self._noted(bot_times)) >= replies)

    def counted(self, turns: int) -> Scrape:
        """Wait until a scrape shows so many answered turns and all webhooks. Return it."""

        def look() -> Scrape | None:
            found = scrape(self.urls[0])
            whole = found("turns_total", outcome="answered") >= turns and found("webhooks_total") >= self.posts
            return found if whole else None

        return until("the last answer and the last webhook", look)

    def _noted(self, bot_times: Path) -> list[list[str]]:
        """Return what the bot noted about the customers."""
        lines = [line.split() for line in bot_times.read_text().splitlines()]
        return [line for line in lines if line[0] in self.diaries]

    def waited(self, seconds: float, bot_times: Path) -> None:
        """Check the sum of the response times. It lies between what the customers saw and what the bot noted.

        A turn starts after the customer has written and before the bot's handler runs. It ends after the phone shows
        the reply and before the send returns. So the bounds hold at any speed of the machine.

        Args:
            seconds: the sum.
            bot_times: the file in which the bot noted its times, an answer a line.

        """
        asked, shown = zip(*(wait for diary in self.diaries.values() for wait in diary.waits), strict=True)
        noted = self._noted(bot_times)
        handled, returned = zip(*((float(begin), float(end)) for _, begin, end in noted), strict=True)
        assert len(asked) == len(handled)
        assert sum(shown) - sum(handled) - ROUNDING <= seconds <= sum(returned) - sum(asked) + ROUNDING

    @property
    def posts(self) -> int:
        """How many webhooks were delivered, those that were tried again included."""
        return self._stand_in.delivery.posts


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
        """Return the metrics that every worker must show alike: without its own and without effects of the scrape."""
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
    with services.running(command, log, port, group=True, cwd=ROOT, env={**given, **environ}) as process:
        yield process


def children(pid: int) -> list[int]:
    """Return the processes that `pid` has started and that serve. Helpers of multiprocessing and ended ones do not."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed if b"resource_tracker" not in (_command(child) or b"resource_tracker")]


def _command(pid: str) -> bytes:
    """Return the command of a process. It is empty for one that has ended, whether or not its parent has noticed."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def scrape(url: str) -> Scrape:
    """Scrape whichever worker answers."""
    answer = httpx.get(f"{url}/metrics", headers={"connection": "close"}, trust_env=False, timeout=60)
    answer.raise_for_status()
    return Scrape(answer.text)


def answered(url: str, turns: int) -> Scrape:
    """Wait until a scrape shows so many answered turns. Return it."""

    def look() -> Scrape | None:
        found = scrape(url)
        return found if found("turns_total", outcome="answered") >= turns else None

    return until("the last answer", look)
