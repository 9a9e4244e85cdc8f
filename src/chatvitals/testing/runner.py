"""Runner of scenarios through the real integrations: webhooks through the middleware, sends through a hooked client."""

from __future__ import annotations

import contextvars
import json
import secrets
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from chatvitals.exporters.prometheus import render
from chatvitals.integrations.asgi import ChatVitalsMiddleware
from chatvitals.settings import Settings
from chatvitals.stores import kind_of, open_store, redis_url
from chatvitals.stores.redis import RedisStore
from chatvitals.testing import payloads
from chatvitals.testing.clock import FakeClock
from chatvitals.testing.fixtures import person, place
from chatvitals.testing.payloads import EPOCH, Step
from chatvitals.testing.scenario_keys import check
from chatvitals.vitals import Vitals
from chatvitals.whatsapp import signatures

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping, MutableMapping

    from chatvitals.stores.base import Store

_SECRET = "a made-up app secret"  # noqa: S105 - scenarios sign their webhooks with it
_PATH = "/webhook"


def run_scenario(scenario: Mapping[str, Any], store: str = "") -> str:
    """Return the exposition text after all steps of `scenario`.

    Args:
        scenario: the content of a scenario file. Its `expect` is ignored.
        store: URL of an empty store. The default is a SQLite file in a temporary folder. A run on Redis uses its own
            prefix, which is removed afterwards, unless the URL has a prefix.

    Raises:
        ValueError: the scenario has steps or names that this version does not know.

    """
    if store and kind_of(store).shared_by == "hosts":
        own = redis_url.with_prefix(store, f"scenario-{secrets.token_hex(8)}")
        try:
            return _Run(scenario, own).play()
        finally:
            if own != store:
                RedisStore(own).erase()
    if store:
        return _Run(scenario, store).play()
    with tempfile.TemporaryDirectory(prefix="chatvitals-") as folder:
        return _Run(scenario, f"sqlite:///{Path(folder) / 'scenario.db'}").play()


@dataclass(order=True)
class _Action:
    """An action at a time. At the same time, commits come after receipts."""

    at: float
    is_commit: bool
    order: int
    run: Callable[[], None] = field(compare=False)


class _Run:
    """One run of one scenario."""

    def __init__(self, scenario: Mapping[str, Any], store: str) -> None:
        check(scenario)
        given = scenario.get("settings", {})
        self._scenario = scenario
        self._settings = Settings.load({**given, "store": store, "hooks": False, "app_secret": _SECRET}, environ={})
        self._clock = FakeClock(EPOCH)
        self._shared: Store | None = open_store(store) if kind_of(store).shared_by == "process" else None
        self._workers: dict[int, _Worker] = {}
        self._contexts: dict[tuple[int, str], contextvars.Context] = {}

    def play(self) -> str:
        """Run all steps and return the content of `/metrics` of the first worker."""
        try:
            for action in sorted(self._actions()):
                self._set_clock(action.at)
                action.run()
            self._set_clock(float(self._scenario["until"]))
            return render(self._worker(1).vitals.collector)[0].decode()
        finally:
            for worker in self._workers.values():
                worker.vitals.close()

    def _actions(self) -> Iterator[_Action]:
        for order, step in enumerate(self._scenario["steps"]):
            at = float(step["t"])
            number = step.get("worker", 1)
            if "restart" in step:
                yield _Action(at, False, order, self._kill)
            else:
                yield _Action(at, False, order, partial(self._receive, number, step, at))
                yield _Action(at + step.get("held", 0.0), True, order, partial(self._commit, number))

    def _set_clock(self, at: float) -> None:
        self._clock.now = EPOCH + at
        self._worker(1).vitals._pipeline.sweep()

    def _worker(self, number: int) -> _Worker:
        if number not in self._workers:
            vitals = Vitals(self._settings, store=self._shared, clock=self._clock, background=False, on_error=_raise)
            self._workers[number] = _Worker(vitals, self._clock)
            self._declare(vitals)
        return self._workers[number]

    def _declare(self, vitals: Vitals) -> None:
        for journey in self._scenario.get("journeys", ()):
            vitals.journey(**journey)
        for experiment in self._scenario.get("experiments", ()):
            goal = experiment.get("goal")
            vitals.experiment(**{**experiment, "goal": vitals.journeys[goal] if goal else None})

    def _kill(self) -> None:
        """End all workers at once. Uncommitted events are lost."""
        for worker in self._workers.values():
            worker.vitals.store.close()
        self._workers.clear()
        self._contexts.clear()

    def _commit(self, number: int) -> None:
        if not self._worker(number).vitals._pipeline.drain():
            raise ValueError("the store could not be used")

    def _receive(self, number: int, step: Step, at: float) -> None:
        worker = self._worker(number)
        if "send" in step:
            self._in_context(number, step, lambda: worker.send(step))
        elif "call" in step:
            self._in_context(number, step, lambda: worker.call(step))
        elif {"step", "end", "expose"} & step.keys():
            self._in_context(number, step, lambda: worker.go(step))
        elif "poll" in step:
            worker.vitals.record_poll(payloads.poll(step["poll"]))
        elif "webhook" in step:
            context = worker.post(step["webhook"])
            for contact in payloads.senders(step["webhook"]):
                self._contexts[number, contact] = context
        elif "batch" in step or {"in", "status", "echo", "preference"} & step.keys():
            items = step.get("batch", [step])
            context = worker.post(payloads.webhook(items, at))
            for item in items:
                if "in" in item:
                    self._contexts[number, item["contact"]] = context
        else:
            raise ValueError(f"a step of a kind that this version does not know: {sorted(step)}")

    def _in_context(self, number: int, step: Step, action: Callable[[], None]) -> None:
        whose = step.get("in_context")
        if not whose:
            action()
            return
        contact = step["contact"] if whose is True else whose
        if (number, contact) not in self._contexts:
            raise ValueError(f"worker {number} has handled no message of {contact}")
        self._contexts[number, contact].copy().run(action)


class _Worker:
    """One process with its Vitals, its webhook app and its HTTP client."""

    def __init__(self, vitals: Vitals, clock: FakeClock) -> None:
        self.vitals = vitals
        self._clock = clock
        self._app = ChatVitalsMiddleware(self._webhook_app, vitals, webhook_path=_PATH)
        self._context = contextvars.Context()
        self._step: Step = {}
        self._client = httpx.Client(transport=httpx.MockTransport(self._answer), base_url="https://graph.invalid")
        vitals.instrument_client(self._client)

    def post(self, body: Mapping[str, Any]) -> contextvars.Context:
        """Hand a signed webhook to the app behind the middleware. Return the context of its handling."""
        raw = json.dumps(body).encode()
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "https",
            "path": _PATH, "raw_path": _PATH.encode(), "root_path": "", "query_string": b"",
            "headers": [(b"x-hub-signature-256", signatures.sign(raw, _SECRET).encode())],
            "client": None, "server": None,
        }  # fmt: skip
        messages = iter([{"type": "http.request", "body": raw, "more_body": False}])

        async def receive() -> MutableMapping[str, Any]:
            return next(messages)

        async def send(message: MutableMapping[str, Any]) -> None:
            pass

        contextvars.Context().run(_drive, self._app(scope, receive, send))
        return self._context

    def send(self, step: Step) -> None:
        """Make the bot's call of a `send` step."""
        path, body = payloads.send(step)
        ended = self._clock.now
        if "started" in step:
            self._clock.now = EPOCH + step["started"]
        self._step = {**step, "ended": ended}
        with self.vitals.sending(step.get("tag"), step.get("actor")):
            self._client.post(path, json=body)

    def call(self, step: Step) -> None:
        """Call the library's function of a `call` step."""
        given = _whose(step)
        match step["call"]:
            case "reply":
                if "id" in step:
                    given["message_id"] = payloads.message_id(step)
                self.vitals.record_reply(**given, actor=step.get("actor", "bot"))
            case "handover" | "fallback" | "dismiss" | "resolve" as name:
                getattr(self.vitals, name)(**given)
            case other:
                raise ValueError(f"there is no call {other!r}")

    def go(self, step: Step) -> None:
        """Reach a step, end a run or request a variant."""
        given = _whose(step)
        if "expose" in step:
            self.vitals.experiments[step["expose"]].variant(**given)
        elif "end" in step:
            self.vitals.journeys[step["journey"]].end(step["end"], **given)
        else:
            self.vitals.journeys[step["journey"]].reach(step["step"], **given)

    def _answer(self, _: httpx.Request) -> httpx.Response:
        self._clock.now = self._step["ended"]
        status, body = payloads.answer(self._step)
        return httpx.Response(status, json=body)

    async def _webhook_app(self, _: Any, receive: Any, send: Any) -> None:
        await receive()
        self._context = contextvars.copy_context()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def _whose(step: Step) -> dict[str, str]:
    """Return the arguments that name a call's contact. In the context, a call needs none."""
    if step.get("in_context"):
        return {}
    who = person(step["contact"])
    contact = who.user if step.get("ids") == "bsuid" else step.get("phone", who.phone)
    return {"contact": contact, "phone_number_id": place(step.get("number", "N1")).phone_number_id}


def _drive(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never really waits, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise RuntimeError("the app waited for a message that does not come")


def _raise(where: str, error: Exception) -> None:
    raise RuntimeError(f"swallowed in {where}") from error
