"""A web process that receives, Celery's prefork workers that answer: one set of numbers, and no `contact=`."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.simulator import payloads
from chatvitals.simulator.people import BusinessNumber, Person
from tests.helpers import services
from tests.helpers.otlp_receiver import Receiver, spans
from tests.helpers.stand_in import accepts_all
from tests.helpers.waiting import MOST_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chatvitals.integrations.asgi import ASGIApp
    from chatvitals.vitals import Vitals
    from tests.helpers.tracing import Traced

HERE = Path(__file__).parent


class Bot:
    """The web process's side of a bot, on a business number of its own. The tasks run in a worker beside it."""

    def __init__(self, tasks: Any, number: str) -> None:
        self.tasks = tasks
        self.vitals: Vitals = tasks.vitals
        self.number = BusinessNumber(number)

    def receive(self, person: Person) -> Any:
        """Take in a message, as a webhook's handler does."""
        content = {"type": "text", "text": {"body": "hello"}}
        message_id = f"wamid.{self.number.phone_number_id}{person.phone}"
        update = payloads.message(person, message_id, content, at=self.vitals.clock())
        return self.vitals.observe_webhook(payloads.webhook(self.number, [update]))

    def receive_and_delegate(self, person: Person, task: str) -> Any:
        """Take in a message and send a task. Nothing names the contact."""
        with self.receive(person):
            return getattr(self.tasks, task).delay(self.number.phone_number_id, person.phone)

    def settled(self) -> Counter[str]:
        """Return the cells, once their settling window is over. Cells of several fields are added up."""
        time.sleep(0.3)
        self.vitals.settle(MOST_SECONDS)
        found: Counter[str] = Counter()
        for (family, labels, _), value in self.vitals.store.cells().items():
            found[" ".join((family.removeprefix("chatvitals_"), *labels)).strip()] += int(value)
        return found


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The bot's tasks with a broker. What they need to know is in the environment, as workers get it."""
    folder = tmp_path_factory.mktemp("celery")
    with services.redis_server() as broker, pytest.MonkeyPatch.context() as patch:
        patch.setenv("BROKER_URL", broker)
        patch.setenv("CHATVITALS_STORE", f"sqlite:///{folder / 'fleet.db'}")
        patch.setenv("CHATVITALS_SETTLE_AFTER", "0.2")
        patch.setenv("NO_PROXY", "127.0.0.1")
        module = importlib.import_module("tests.helpers.celery_tasks")
        yield module
        module.vitals.close()
        module.app.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An endpoint for the worker's spans."""
    with Receiver() as running:
        yield running


@pytest.fixture
def worker(
    tasks: Any, serve: Callable[[ASGIApp], int], tmp_path: Path, receiver: Receiver
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A real worker with two children, and its log, with all that Celery has to say."""
    log = tmp_path / "worker.log"
    command = [sys.executable, "-m", "celery", "-A", "tests.helpers.celery_tasks", "worker", "--pool", "prefork"]
    flags = ["-c", "2", "-l", "debug", "--without-gossip", "--without-mingle"]
    traces = f"{receiver.address}/v1/traces"
    environ = {**os.environ, "GRAPH_URL": f"http://127.0.0.1:{serve(accepts_all)}", "TRACES_URL": traces}
    with log.open("wb") as out:
        process = subprocess.Popen([*command, *flags], stdout=out, stderr=out, cwd=HERE.parent.parent, env=environ)
    yield process, log
    stop(process)


def stop(worker: subprocess.Popen[bytes]) -> None:
    """End a worker as a deploy does: it finishes its tasks, its children end."""
    worker.terminate()
    worker.wait(MOST_SECONDS)


def test_tasks_know_whose_message_they_are_about(tasks: Any, worker: tuple[subprocess.Popen[bytes], Path]) -> None:
    """Steps, handovers and a template as the reply count for the contact whose webhook sent the task, or its parent."""
    bot = Bot(tasks, "1001")
    people = [Person("", phone=f"1555000{i:04d}") for i in range(6)]
    results = [bot.receive_and_delegate(person, "answer") for person in people[:5]]
    pids = {result.get(timeout=300) for result in results}
    chained = bot.receive_and_delegate(people[5], "first")
    tasks.app.AsyncResult(chained.get(timeout=300)).get(timeout=300)
    stop(worker[0])  # at once: what the children have not yet committed is committed now
    found = bot.settled()
    assert os.getpid() not in pids
    assert found["turns_opened_total 1001 first"] == 6
    assert found["turns_total 1001 first answered"] == 6
    assert found["sends_total 1001 reply accepted"] == 6
    assert found["journey_runs_started_total 1001 order"] == 6
    assert found["handovers_total 1001"] == 6
    assert not [name for name in found if name.startswith("internal_errors_total")]


def test_a_worker_that_is_not_told_the_contact_still_closes_turns(
    tasks: Any, worker: tuple[subprocess.Popen[bytes], Path]
) -> None:
    """`chatvitals.init` in the worker is enough for its sends. Calls that need a contact are counted as without one."""
    bot = Bot(tasks, "1002")
    person = Person("", phone="15551112222")
    bot.receive(person)
    before = bot.settled()["internal_errors_total no_contact"]
    tasks.answer.delay("1002", person.phone, "text").get(timeout=300)
    stop(worker[0])
    found = bot.settled()
    assert found["turns_total 1002 first answered"] == 1
    assert found["internal_errors_total no_contact"] == before + 2


def test_a_header_that_a_worker_logs_shows_nobody(tasks: Any, worker: tuple[subprocess.Popen[bytes], Path]) -> None:
    """Celery writes all headers of a task that it does not know into its log."""
    bot = Bot(tasks, "1003")
    person = Person("", phone="15553334444")
    with bot.receive(person):
        tasks.app.send_task("nobody_knows")
    tasks.answer.delay("1003", "15559999999", "text").get(timeout=300)  # the worker has come past it
    words = worker[1].read_text()
    assert "unregistered task of type 'nobody_knows'" in words
    assert "'chatvitals': '" in words
    assert person.phone not in words


def test_75_children_that_celery_recycles_lose_no_send(
    tasks: Any, serve: Callable[[ASGIApp], int], tmp_path: Path
) -> None:
    """Each child ends by `os._exit` as soon as its task is done. The bot only calls `chatvitals.init`."""
    bot = Bot(tasks, "1004")
    log = tmp_path / "worker.log"
    command = [sys.executable, "-m", "celery", "-A", "tests.helpers.celery_tasks", "worker", "--pool", "prefork"]
    flags = ["-c", "2", "--max-tasks-per-child", "1", "-l", "error", "--without-gossip", "--without-mingle"]
    environ = {**os.environ, "GRAPH_URL": f"http://127.0.0.1:{serve(accepts_all)}", "CELERY_RECYCLED": "1"}
    with log.open("wb") as out:
        process = subprocess.Popen([*command, *flags], stdout=out, stderr=out, cwd=HERE.parent.parent, env=environ)
    try:
        results = [tasks.answer.delay("1004", f"1555777{i:04d}", "text") for i in range(6)]
        pids = {result.get(timeout=300) for result in results}
    finally:
        stop(process)
    assert len(pids) == 6, "each task has a child of its own"
    found = bot.settled()
    assert found["sends_total 1004 reply accepted"] == 6


def test_one_trace_shows_the_webhook_the_worker_s_send_and_the_whole_wait(
    tasks: Any, worker: tuple[subprocess.Popen[bytes], Path], receiver: Receiver, traced: Traced
) -> None:
    """Server span, receive, send in another process, and the turn, which whichever process settles it makes."""
    bot = Bot(tasks, "1009")
    with traced.tracer.start_as_current_span("POST /webhook") as server:
        result = bot.receive_and_delegate(Person("", phone="15550009999"), "answer")
    result.get(timeout=300)
    stop(worker[0])
    bot.settled()
    told = {span.name: span for span in spans(receiver.traces)}
    ours = {span.name: span for span in traced.spans}
    assert ours.keys() | told.keys() == {"POST /webhook", "receive 1009", "send 1009", "turn"}
    trace_id, receive = server.get_span_context().trace_id, ours["receive 1009"]
    send = told["send 1009"]
    parents = {span.name: int.from_bytes(span.parent_span_id, "big") for span in told.values()}
    parents |= {name: span.parent.span_id for name, span in ours.items() if span.parent is not None}
    assert parents == {
        "receive 1009": server.get_span_context().span_id,
        "send 1009": receive.context.span_id,
        "turn": receive.context.span_id,
    }
    assert {int.from_bytes(span.trace_id, "big") for span in told.values()} == {trace_id}
    assert {span.context.trace_id for span in ours.values()} == {trace_id}
    assert [link.span_id for link in send.links] == [receive.context.span_id.to_bytes(8, "big")]
    links = [link.span_id for link in told["turn"].links] if "turn" in told else []
    links += [link.context.span_id.to_bytes(8, "big") for link in ours["turn"].links] if "turn" in ours else []
    assert links == [send.span_id]
    person = "".join([traced.told(), *map(str, told.values())])
    assert "15550009999" not in person
    assert "wamid" not in person
