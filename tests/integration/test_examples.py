"""The bots of `examples/`, unmodified, on the servers that their pages name, against the simulator's stand-in."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from chatvitals.simulator import cloud_api, payloads, people
from tests.helpers import readme, services, stand_in

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[2] / "examples"
BIN = Path(sys.executable).parent
PATIENCE = 120.0
PYWA = """
import os, pywa.api
made = pywa.api.GraphAPI.__init__

def redirected(self, token, session, api_version):  # pywa itself knows Meta's address alone
    made(self, token, session, api_version)
    session.base_url = os.environ["GRAPH_URL"]

pywa.api.GraphAPI.__init__ = redirected
import pywa_bot
pywa_bot.whatsapp.run(port=int(os.environ["PORT"]))
"""
GUNICORN = "gunicorn --bind 127.0.0.1:{port} --workers 2"
UVICORN = "uvicorn --host 127.0.0.1 --port {port}"
SERVERS = {
    "fastapi_bot": f"{UVICORN} fastapi_bot:app",
    "fastapi_bot with workers": f"{UVICORN} --workers 2 fastapi_bot:app",
    "starlette_bot": "python starlette_bot.py",
    "flask_bot": f"{GUNICORN} flask_bot:app",
    "django_bot on WSGI": f"{GUNICORN} django_bot:wsgi",
    "django_bot on ASGI": f"{UVICORN} django_bot:asgi",
    "pywa_bot": "python -c",
    "aiohttp_bot": "python aiohttp_bot.py",
    "tornado_bot": "python tornado_bot.py",
    "sanic_bot": "sanic sanic_bot:app --host 127.0.0.1 --port {port} --workers 2 --no-motd",
    "thread_pool_bot": f"{GUNICORN} --threads 4 thread_pool_bot:app",
    "celery_bot": f"{GUNICORN} celery_bot:app",
}


def environ_of(folder: Path, graph_url: str, **more: str) -> dict[str, str]:
    """Return the variables of a bot. Nothing leaves this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CHATVITALS_", "OTEL_"))}
    return {
        **kept,
        "BOT_THINK_SECONDS": "0-0.1",
        "CHATVITALS_SETTLE_AFTER": "0.2",
        "CHATVITALS_STORE": f"sqlite:///{folder / 'bot.db'}",
        "GRAPH_URL": graph_url,
        "NO_PROXY": "127.0.0.1",
        "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
        "PYTHONPATH": str(FOLDER),
        "PYTHONWARNINGS": "default",
        "WHATSAPP_ACCESS_TOKEN": stand_in.TOKEN,
        "WHATSAPP_APP_SECRET": stand_in.SECRET,
        "WHATSAPP_PHONE_NUMBER_ID": stand_in.NUMBER.phone_number_id,
        "WHATSAPP_VERIFY_TOKEN": "verify",
        **more,
    }


def shown(page: str) -> dict[str, float]:
    """Return the sums of counters by name and the one label that matters."""
    found: dict[str, float] = {}
    labels = ("outcome", "end", "result", "where")
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name.endswith("_total") and sample.labels.get("kind", "reply") == "reply":
                label = next((sample.labels[name] for name in labels if name in sample.labels), "")
                key = f"{sample.name.removeprefix('chatvitals_')} {label}".strip()
                found[key] = found.get(key, 0.0) + sample.value
    return found


def wait_for_answers(url: str, count: int) -> dict[str, float]:
    """Read the metrics until so many turns are answered."""
    give_up, numbers = time.monotonic() + PATIENCE, dict[str, float]()
    while time.monotonic() < give_up:
        numbers = shown(httpx.get(f"{url}/metrics", timeout=PATIENCE).raise_for_status().text)
        if numbers.get("turns_total answered", 0.0) >= count:
            return numbers
        time.sleep(0.2)
    raise AssertionError(f"not answered within {PATIENCE:g} s: {numbers}")


@contextlib.contextmanager
def bot(name: str, folder: Path) -> Iterator[tuple[str, stand_in.Customers]]:
    """Run a bot with all that it needs. Gives its address and the stand-in."""
    port = services.free_port()
    command: list[str | Path] = [*SERVERS[name].format(port=port).split()]
    with contextlib.ExitStack() as stack:
        whatsapp = stack.enter_context(stand_in.running(f"http://127.0.0.1:{port}/webhook"))
        environ = environ_of(folder, whatsapp.url, PORT=str(port))
        if name == "pywa_bot":
            command.append(PYWA)
        if name == "celery_bot":
            environ["BROKER_URL"] = stack.enter_context(services.redis_server())
            worker: list[str | Path] = [BIN / "celery", "-A", "celery_bot:tasks", "worker", "-c", "2"]
            worker += ["--without-gossip", "--without-mingle"]
            stack.enter_context(services.running(worker, folder / "log", cwd=FOLDER, env=environ))
        command[0] = BIN / command[0]
        stack.enter_context(services.running(command, folder / "log", port, cwd=FOLDER, env=environ))
        yield f"http://127.0.0.1:{port}", whatsapp


@pytest.mark.parametrize("name", SERVERS)
def test_a_bot_counts_its_customers_and_its_replies(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each customer's turn is answered, by the bot, with one send. Handshake and forged webhooks are as they were."""
    monkeypatch.setattr(cloud_api, "_HOLD_SECONDS", 0.0)  # most of these bots answer before they acknowledge
    with bot(name, tmp_path) as (url, whatsapp):
        for token, status in (("verify", 200), ("wrong", 403)):
            asked = {"hub.mode": "subscribe", "hub.verify_token": token, "hub.challenge": "1158201444"}
            answer = httpx.get(f"{url}/webhook", params=asked, timeout=PATIENCE)
            assert answer.status_code == status
            assert status != 200 or answer.text == "1158201444"
        forged = httpx.post(
            f"{url}/webhook", content=b"{}", headers={"X-Hub-Signature-256": "sha256=00"}, timeout=PATIENCE
        )
        assert forged.status_code in {401, 403}
        for customer in range(stand_in.CUSTOMERS):
            whatsapp.write(customer)
        numbers = wait_for_answers(url, stand_in.CUSTOMERS)
    assert sorted(whatsapp.answered) == list(range(stand_in.CUSTOMERS))
    assert numbers["turns_total answered"] == stand_in.CUSTOMERS
    assert numbers["sends_total accepted"] == stand_in.CUSTOMERS
    assert numbers["webhooks_total bad_signature"] == 1
    assert {key: value for key, value in numbers.items() if key.startswith("internal_errors") and value} == {}


def test_the_journey_of_pywa_s_handlers_needs_no_contact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps on pywa's handlers are counted for the author of the message."""
    monkeypatch.setattr(cloud_api, "_HOLD_SECONDS", 0.0)
    with bot("pywa_bot", tmp_path) as (url, whatsapp):
        whatsapp.write(0, "hello")
        wait_for_answers(url, 1)
        whatsapp.write(0, "bye")
        numbers = wait_for_answers(url, 2)
    assert numbers["journey_runs_total completed"] == 1


def test_a_thread_pool_knows_whom_it_did_not_understand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fallback in a job of the pool counts for the author of the message."""
    monkeypatch.setattr(cloud_api, "_HOLD_SECONDS", 0.0)
    with bot("thread_pool_bot", tmp_path) as (url, whatsapp):
        whatsapp.write(1, "mumble")
        numbers = wait_for_answers(url, 1)
    assert numbers["fallbacks_total"] == 1


LAMBDA = """
import json, sys, time
import prometheus_client
import lambda_bot

for event in json.load(sys.stdin):
    assert lambda_bot.handler(event, None)["statusCode"] == 200, event
time.sleep(0.4)
lambda_bot.vitals.settle(60)
registry = prometheus_client.CollectorRegistry()
registry.register(lambda_bot.vitals.collector)
print(prometheus_client.generate_latest(registry).decode())
"""


def recorded_events() -> list[dict[str, Any]]:
    """Return one event each of API Gateway v1 and v2 and of a function URL, as AWS sends them."""
    events = []
    for index in range(stand_in.CUSTOMERS):
        person = people.person(index)
        text = {"type": "text", "text": {"body": "hello"}}
        update = payloads.message(person, payloads.wamid(person, index, inbound=True), text, at=time.time())
        body = payloads.webhook(stand_in.NUMBER, [update])
        signed = {"X-Hub-Signature-256": payloads.signature(stand_in.SECRET, body)}
        lower = {name.lower(): value for name, value in signed.items()}
        http = {"method": "POST", "path": "/webhook", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"}
        events.append(
            (
                {
                    "resource": "/webhook",
                    "path": "/webhook",
                    "httpMethod": "POST",
                    "headers": signed,
                    "multiValueHeaders": {name: [value] for name, value in signed.items()},
                    "queryStringParameters": None,
                    "requestContext": {"resourcePath": "/webhook", "httpMethod": "POST", "stage": "prod"},
                    "body": body.decode(),
                    "isBase64Encoded": False,
                },
                {
                    "version": "2.0",
                    "routeKey": "POST /webhook",
                    "rawPath": "/webhook",
                    "rawQueryString": "",
                    "headers": lower,
                    "requestContext": {"http": http, "routeKey": "POST /webhook", "stage": "$default"},
                    "body": body.decode(),
                    "isBase64Encoded": False,
                },
                {
                    "version": "2.0",
                    "routeKey": "$default",
                    "rawPath": "/webhook",
                    "rawQueryString": "",
                    "headers": lower,
                    "requestContext": {"http": http, "routeKey": "$default", "domainName": "x.lambda-url.example"},
                    "body": base64.b64encode(body).decode(),
                    "isBase64Encoded": True,
                },
            )[index]
        )
    return events


def test_a_lambda_function_commits_before_it_freezes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events of both API Gateways and of a function URL, with a Redis, as its page says."""
    monkeypatch.setattr(cloud_api, "_HOLD_SECONDS", 0.0)
    with services.redis_server() as store, stand_in.running(f"http://127.0.0.1:{services.free_port()}/") as whatsapp:
        done = subprocess.run(
            [sys.executable, "-c", LAMBDA],
            cwd=FOLDER,
            env=environ_of(tmp_path, whatsapp.url, CHATVITALS_STORE=store),
            input=json.dumps(recorded_events()),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    numbers = shown(done.stdout)
    assert numbers["turns_total answered"] == stand_in.CUSTOMERS
    assert numbers["sends_total accepted"] == stand_in.CUSTOMERS


def lines_of(file: Path) -> int:
    """Return how many lines of a bot mention chatvitals, without its docstring and optional lines."""
    code = re.sub(r'""".*?"""', "", file.read_text(), flags=re.DOTALL)
    lines = [line.partition("#")[0] if "# optional:" not in line else "" for line in code.splitlines()]
    return sum(1 for line in lines if re.search(r"\b(chat)?vitals(_celery)?\b", line, re.IGNORECASE))


def test_no_bot_needs_more_lines_than_its_page_says() -> None:
    """The table of the cookbook names each bot, with the lines that it needs."""
    table = dict(re.findall(r"\[`(\w+_bot\.py)`\]\(\w+\.py\) \| (\d+) \|", readme.COOKBOOK.read_text()))
    assert {name: lines_of(FOLDER / name) for name in table} == {name: int(lines) for name, lines in table.items()}
    assert set(table) | {"otel_bot.py", "starlette_bot.py"} == {file.name for file in FOLDER.glob("*.py")}
