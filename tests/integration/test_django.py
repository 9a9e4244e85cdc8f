"""A Django project with three entries in its settings and nothing else, on WSGI and on ASGI."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helpers import snippets

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = """
import os

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["chatvitals.integrations.django"],
    MIDDLEWARE=["chatvitals.integrations.django.Middleware"],
    CHATVITALS={"app_secret": os.environ["WHATSAPP_APP_SECRET"], "metrics_path": "/metrics"},
)


@csrf_exempt
def webhook(request):
    request.body
    return HttpResponse(str(len(request.body)))


urlpatterns = [path("webhook", webhook)]
wsgi, asgi = get_wsgi_application(), get_asgi_application()

from chatvitals.integrations.django import get_vitals

vitals = get_vitals()
"""
SERVERS = {
    "wsgi": """
from werkzeug.test import Client
assert Client(snippet.wsgi).post("/webhook", data=BODY, headers=HEADERS).text == str(len(BODY))
shown = Client(snippet.wsgi).get("/metrics").text
""",
    "asgi": """
import asyncio
import httpx

async def main():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(snippet.asgi), base_url="http://bot.example") as client:
        assert (await client.post("/webhook", content=BODY, headers=HEADERS)).text == str(len(BODY))
        return (await client.get("/metrics")).text

shown = asyncio.run(main())
""",
}
COUNTED = """
assert "chatvitals_webhooks_total" in shown
page = metrics()
assert 'chatvitals_webhooks_total{result="accepted"} 1.0' in page, page
assert 'turns_opened_total{phone_number_id="990005556667778",turn="first"} 1.0' in page, page
"""


@pytest.mark.parametrize("server", SERVERS)
def test_three_entries_in_the_settings_are_enough(server: str, tmp_path: Path) -> None:
    """Webhooks count, and the metrics are served."""
    snippets.run(PROJECT, tmp_path, SERVERS[server] + COUNTED)
