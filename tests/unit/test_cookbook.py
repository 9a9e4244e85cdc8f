"""Every snippet of the cookbook runs as it stands, and each door lets a signed webhook count."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

import chatvitals
from chatvitals.settings import Settings
from tests.helpers import readme, snippets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXT = readme.COOKBOOK.read_text()
SNIPPETS = readme.snippets(TEXT, "python")
COUNTED = """
page = metrics()
assert 'chatvitals_webhooks_total{result="accepted"} 1.0' in page, page
assert 'turns_opened_total{phone_number_id="990005556667778",turn="first"} 1.0' in page, page
"""
STARLETTE = """
from starlette.testclient import TestClient
TestClient(snippet.app).post("/webhook", content=BODY, headers=HEADERS)
"""
DOORS = {
    "FastAPI and Starlette": STARLETTE,
    "Other ASGI frameworks": STARLETTE,
    "Flask": """
assert snippet.app.test_client().post("/webhook", data=BODY, headers=HEADERS).text == "ok"
""",
    "Django": """
from werkzeug.test import Client
assert Client(snippet.application).post("/webhook", data=BODY, headers=HEADERS).text == "ok"
""",
    "aiohttp, Tornado and Sanic": """
import asyncio
from aiohttp.test_utils import TestClient, TestServer

async def main():
    async with TestClient(TestServer(snippet.app)) as client:
        answer = await client.post("/webhook", data=BODY, headers=HEADERS)
        assert await answer.text() == "ok"

asyncio.run(main())
""",
    "pywa": """
from starlette.testclient import TestClient
TestClient(snippet.whatsapp._setup_and_get_starlette_app()).post("/", content=BODY, headers=HEADERS)
""",
    "Google Cloud Functions and Chalice": """
from flask import Flask, request
with Flask("bot").test_request_context("/", method="POST", data=BODY, headers=HEADERS):
    assert snippet.webhook(request) == "ok"

class Event:
    method, raw_body, headers = "GET", BODY, HEADERS

assert snippet.watch(Event, lambda event: event.method) == "GET"
""",
    "AWS Lambda": """
assert snippet.handler({"httpMethod": "POST", "body": BODY.decode(), "headers": HEADERS}, None)["statusCode"] == 200
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_every_snippet_runs(number: int, tmp_path: Path) -> None:
    """A reader can copy it into a file and run it."""
    snippets.run(SNIPPETS[number], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("title", DOORS)
def test_each_door_counts_a_signed_webhook(title: str, tmp_path: Path) -> None:
    """The snippet below the heading wraps its framework, and a message opens a turn."""
    section = TEXT.partition(f"\n### {title}\n")[2].partition("\n##")[0]
    (snippet,) = readme.snippets(section, "python")
    snippets.run(snippet, tmp_path, DOORS[title] + COUNTED)


def test_the_lines_for_django_can_be_pasted_below_the_settings_of_a_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """`startproject` writes no `import os`, and its lists stay."""
    monkeypatch.setenv("WHATSAPP_APP_SECRET", "secret")
    (lines,) = readme.snippets(TEXT, "py")
    settings: dict[str, object] = {
        "INSTALLED_APPS": ["django.contrib.admin"],
        "MIDDLEWARE": ["django.middleware.security"],
    }
    exec(lines, settings)
    assert settings["INSTALLED_APPS"] == ["django.contrib.admin", "chatvitals.integrations.django"]
    assert settings["MIDDLEWARE"] == ["chatvitals.integrations.django.Middleware", "django.middleware.security"]
    assert settings["CHATVITALS"] == {"app_secret": "secret", "webhook_path": "/webhook", "metrics_path": "/metrics"}


def test_documents_and_examples_import_public_names_only() -> None:
    """What they show may be relied on: these modules, and the names of `chatvitals.__all__`."""
    shown = [*SNIPPETS, *readme.snippets(readme.PATH.read_text(), "python")]
    shown += [file.read_text() for file in readme.COOKBOOK.parent.rglob("*.py")]
    imported = {name for code in shown for name in _imported(code) if name.partition(".")[0] == "chatvitals"}
    public = {f"chatvitals.{name}" for name in chatvitals.__all__}
    rooms = ("chatvitals.integrations", "chatvitals.testing", "chatvitals.stores.base", "chatvitals.events.Poll")
    assert "chatvitals" in imported
    assert {name for name in imported - public - {"chatvitals"} if not name.startswith(rooms)} == set()


def test_examples_send_to_the_version_of_the_graph_api_that_chatvitals_asks() -> None:
    """A version ends after two years, and an example that is copied lives long."""
    texts = [TEXT, *(file.read_text() for file in readme.COOKBOOK.parent.rglob("*.py"))]
    versions = {version for text in texts for version in re.findall(r"graph\.facebook\.com/(v[\d.]+)", text)}
    assert versions == {Settings.load({}, environ={}).api_version}


def _imported(code: str) -> Iterator[str]:
    """Return the whole name of each module or object that a snippet imports."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
