"""What a bot with one mistake writes under a real server, without any logging set up: exactly one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest

from chatvitals.whatsapp import signatures
from tests.helpers.recorded_events import item, webhook
from tests.helpers.services import free_port, wait_until_listening

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "the-secret-of-this-app"
BODY = json.dumps(webhook(item())).encode()
BOT = """
import chatvitals
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

vitals = chatvitals.init(store="memory:", SETTINGS)
order = vitals.journey("order", ["menu", "paid"], completed_by="paid")

async def hook(request):
    await request.body()
    order.reach("STEP")
    vitals.handover()
    with vitals.sending("KIND"):
        pass
    return PlainTextResponse("ok")

app = Starlette(routes=[Route("/hook", hook, methods=["POST"])])
vitals.instrument_app(app, webhook_path="PATH", metrics_path="/metrics")
"""


class Mistake(NamedTuple):
    """One mistake in a bot's set-up, and what its sentence says."""

    sentence: str
    settings: str = f"app_secret='{SECRET}', metrics_token='a-token'"
    path: str = "/hook"
    step: str = "menu"
    kind: str = "reply"
    signature: str = signatures.sign(BODY, SECRET)


MISTAKES = {
    "nothing": Mistake(""),
    "no app secret": Mistake("No app_secret is set", settings="metrics_token='a-token'"),
    "wrong app secret": Mistake("A webhook with a wrong signature came", signature=signatures.sign(BODY, "another")),
    "a proxy that drops headers": Mistake("A webhook without a signature came", signature=""),
    "wrong webhook path": Mistake("A webhook of WhatsApp came to /hook, which", path="/webhook"),
    "open metrics": Mistake("/metrics is open to everyone", settings=f"app_secret='{SECRET}'"),
    "undeclared step": Mistake("got the step 'paaid' that journey 'order' does not declare", step="paaid"),
    "unknown kind": Mistake("Did you mean 'reply'?", kind="replyy"),
}


def written(mistake: Mistake, folder: Path) -> list[str]:
    """Run a bot with a mistake, post two webhooks, and return the lines of chatvitals on its standard error."""
    text = BOT.replace("SETTINGS", mistake.settings).replace("PATH", mistake.path)
    (folder / "bot.py").write_text(text.replace("STEP", mistake.step).replace("KIND", mistake.kind))
    port = free_port()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CHATVITALS_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "bot:app", "--port", f"{port}", "--log-level", "warning"],
        cwd=folder,
        env=environ,
        stderr=subprocess.PIPE,
    )
    try:
        wait_until_listening(port, process)
        headers = {"Content-Type": "application/json"}
        if mistake.signature:
            headers["X-Hub-Signature-256"] = mistake.signature
        for _ in range(2):
            url = f"http://127.0.0.1:{port}/hook"
            assert httpx.post(url, content=BODY, headers=headers, trust_env=False, timeout=60).status_code == 200
    finally:
        process.terminate()
        error = process.communicate(timeout=60)[1].decode()
    assert "Traceback" not in error
    return [line for line in error.splitlines() if line.startswith("chatvitals: ")]


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_each_mistake_is_one_sentence(mistake: Mistake, tmp_path: Path) -> None:
    """It names the mistake, has one prefix, and comes once."""
    lines = written(mistake, tmp_path)
    if not mistake.sentence:
        assert lines == []
        return
    [line] = lines
    assert mistake.sentence in line
    assert line.count("chatvitals: ") == 1
