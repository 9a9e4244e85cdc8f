"""A bot that `chatvitals doctor` finds nothing wrong with: a stand-in for WhatsApp, an endpoint, a store, metrics."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from chatvitals.cli import main
from chatvitals.doctor import http
from chatvitals.settings import Settings
from chatvitals.simulator.graph_api import GraphEdges
from chatvitals.vitals import Vitals
from chatvitals.whatsapp import signatures
from tests.helpers.recorded_events import NUMBER, PHONE, item, webhook
from tests.helpers.waiting import MOST_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest
    from starlette.requests import Request

ACCESS_TOKEN = "EAAGm0PX4ZCpsBA-a-made-up-token"
APP_SECRET = "an-app-secret-of-theirs"
VERIFY_TOKEN = "a-verify-token-of-theirs"
METRICS_TOKEN = "a-metrics-token-of-theirs"
STORE_PASSWORD = "a-store-password-of-theirs"
SECRETS = (ACCESS_TOKEN, APP_SECRET, VERIFY_TOKEN, METRICS_TOKEN, STORE_PASSWORD)


@dataclass
class Bot:
    """A bot's endpoint. Each attribute makes it wrong in one way."""

    checks_signature: bool = True
    checks_verify_token: bool = True
    handshake: str = "plain"
    """How the challenge comes back: `plain`, `json` or `not at all`."""
    fails: bool = False
    fails_at_handshakes: bool = False
    posts: list[str] = field(default_factory=list)
    """The signatures of the webhooks that came; the empty string where there was none."""

    async def get(self, request: Request) -> Response:
        """Answer the handshake."""
        if self.fails_at_handshakes:
            return PlainTextResponse("sorry", status_code=500)
        if self.checks_verify_token and request.query_params.get("hub.verify_token") != VERIFY_TOKEN:
            return PlainTextResponse("wrong token", status_code=403)
        challenge = request.query_params.get("hub.challenge", "")
        if self.handshake == "not at all":
            return PlainTextResponse("hello")
        return JSONResponse(challenge) if self.handshake == "json" else PlainTextResponse(challenge)

    async def post(self, request: Request) -> Response:
        """Take a webhook."""
        signature = request.headers.get("x-hub-signature-256")
        self.posts.append(signature or "")
        if self.fails:
            return PlainTextResponse("sorry", status_code=500)
        if self.checks_signature and not signatures.check(await request.body(), signature, [APP_SECRET]):
            return PlainTextResponse("wrong signature", status_code=401)
        return PlainTextResponse("ok")

    def routes(self) -> list[Route]:
        """Return the routes of its application."""
        return [Route("/webhook", self.get), Route("/webhook", self.post, methods=["POST"])]


@dataclass
class Result:
    """The result of the command."""

    status: int
    out: str
    err: str

    def finding(self, check: str) -> dict[str, str]:
        """Return the finding of a check, of which there is one in the JSON."""
        (found,) = self.findings(check)
        return found

    def findings(self, check: str) -> list[dict[str, str]]:
        """Return all findings of a check in the JSON."""
        return [found for found in json.loads(self.out) if found["check"] == check]

    def states(self, state: str) -> set[str]:
        """Return the checks that have a finding of this state."""
        return {found["check"] for found in json.loads(self.out) if found["state"] == state}


class Patient:
    """Everything that the doctor looks at, on loopback, and well."""

    def __init__(self, folder: Path, serve: Callable[[Any], int], monkeypatch: pytest.MonkeyPatch) -> None:
        self.edges = GraphEdges(access_token=ACCESS_TOKEN, app_secret=APP_SECRET, clock=0.0)
        self.bot = Bot()
        self.store = f"sqlite:///{folder / 'bot.db'}"
        given = {
            "store": self.store,
            "app_secret": APP_SECRET,
            "metrics_token": METRICS_TOKEN,
            "hooks": False,
            "settle_after": 0.0,
        }
        self.vitals = Vitals(Settings.load(given, environ={}))
        app = Starlette(routes=[*self.bot.routes(), *self.edges.routes()])  # one server, since each takes a while
        self.vitals.instrument_app(app, webhook_path="/webhook", metrics_path="/metrics")
        self.bot_url = self.graph_url = f"http://127.0.0.1:{serve(app)}"
        self.environ = {
            "CHATVITALS_ACCESS_TOKEN": ACCESS_TOKEN,
            "CHATVITALS_WABA_IDS": self.edges.waba_id,
            "CHATVITALS_GRAPH_URL": self.graph_url,
            "CHATVITALS_APP_ID": self.edges.app_id,
            "CHATVITALS_APP_SECRET": APP_SECRET,
            "CHATVITALS_STORE": self.store,
            "CHATVITALS_WEBHOOK_URL": f"{self.bot_url}/webhook",
            "CHATVITALS_VERIFY_TOKEN": VERIFY_TOKEN,
            "CHATVITALS_METRICS_URL": f"{self.bot_url}/metrics",
            "CHATVITALS_METRICS_TOKEN": METRICS_TOKEN,
        }
        monkeypatch.setattr(http, "SECONDS", 600.0)  # a busy machine is no dead bot
        self._monkeypatch = monkeypatch
        self._capsys: pytest.CaptureFixture[str] | None = None

    def listen(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Take what commands print from here."""
        self._capsys = capsys

    def receive(self) -> None:
        """Have a customer write, and answer."""
        body = json.dumps(webhook(item(at=time.time()))).encode()
        headers = {"X-Hub-Signature-256": signatures.sign(body, APP_SECRET)}
        httpx.post(
            f"{self.bot_url}/webhook", content=body, headers=headers, trust_env=False, timeout=MOST_SECONDS
        ).raise_for_status()
        self.vitals.record_reply(contact=PHONE, phone_number_id=NUMBER)  # else it needs attention after a minute
        self.vitals.settle(MOST_SECONDS)
        self.bot.posts.clear()

    def doctor(self, *words: str) -> Result:
        """Run the command. Whatever it finds, it must print no secret and no traceback."""
        assert self._capsys is not None
        with self._monkeypatch.context() as patch:
            for name, value in self.environ.items():
                patch.setenv(name, value)
            self._capsys.readouterr()
            status = main.main(["doctor", *words])
        out, err = self._capsys.readouterr()
        for secret in SECRETS:
            assert secret not in out + err
        assert "Traceback" not in out + err
        return Result(status, out, err)

    def close(self) -> None:
        """End the bot."""
        self.vitals.close()
