"""Several doors around one bot: of two `Vitals` in both orders, of one `Vitals`, and of different kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chatvitals import context
from chatvitals.context import ContactIds
from tests.conftest import SECRET, sign, webhook_body
from tests.helpers import snippets
from tests.helpers.doors import DOORS, Answer
from tests.helpers.server_doors import SERVER_DOORS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import DoorVitals
    from tests.helpers.doors import AsgiDoor, WsgiDoor
    from tests.helpers.server_doors import ServerDoor

    Door = AsgiDoor | WsgiDoor | ServerDoor

ALL: dict[str, Door] = {**DOORS, **SERVER_DOORS}
CONTACT = ContactIds("1", "393331234567", "")
BODY = webhook_body("393331234567", "wamid.1")
SIGNED = {"x_hub_signature_256": sign(BODY)}


@pytest.fixture(params=sorted(ALL))
def kind(request: pytest.FixtureRequest) -> Door:
    """Each door."""
    return ALL[request.param]


class Bot:
    """A bot that notes whose message it handles."""

    def __init__(self) -> None:
        self.contacts: list[tuple[ContactIds, ...]] = []
        self.refusals: list[str] = []

    def __call__(self, body: bytes) -> Answer:
        """Handle a webhook."""
        self.contacts.append(context.handled())
        self.refusals.append(context.refusal())
        return Answer()


@pytest.mark.parametrize("order", ["one two", "two one", "one two one", "one one two", "one two two one"])
def test_20_each_vitals_counts_a_webhook_once(kind: Door, door: type[DoorVitals], order: str) -> None:
    """Whatever door lies outside, and however often."""
    both = {"one": door(app_secret=SECRET), "two": door(app_secret=SECRET)}
    bot = Bot()
    app = kind.app(bot)
    for name in order.split():
        app = kind.wrap(app, both[name])
    assert kind.call(app, [BODY], **SIGNED).status == 200
    assert [vitals.results for vitals in both.values()] == [["accepted"], ["accepted"]]
    assert bot.contacts == [(CONTACT,)]


@pytest.mark.parametrize("order", ["ours theirs", "theirs ours"])
def test_20_a_webhook_that_one_vitals_refuses_keeps_its_contact(kind: Door, door: type[DoorVitals], order: str) -> None:
    """Two Meta apps with a secret each may post to one address. Calls in the handler still find the contact."""
    both = {"ours": door(app_secret=SECRET), "theirs": door(app_secret="another-secret")}
    bot = Bot()
    app = kind.app(bot)
    for name in order.split():
        app = kind.wrap(app, both[name])
    kind.call(app, [BODY], **SIGNED)
    assert [vitals.results for vitals in both.values()] == [["accepted"], ["bad_signature"]]
    assert (bot.contacts, bot.refusals) == ([(CONTACT,)], [""])


def test_20_a_webhook_that_both_vitals_refuse_has_no_contact(kind: Door, door: type[DoorVitals]) -> None:
    """The reason is known."""
    bot = Bot()
    app = kind.wrap(kind.wrap(kind.app(bot), door(app_secret="one-secret")), door(app_secret="another-secret"))
    kind.call(app, [BODY], **SIGNED)
    assert (bot.contacts, bot.refusals) == ([()], ["bad_signature"])


DJANGO = """
import os

import chatvitals
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__)


def bot(name):
    return chatvitals.init(app_secret=os.environ["WHATSAPP_APP_SECRET"], store=f"sqlite:///{name}.db")


@csrf_exempt
def webhook(request):
    return HttpResponse(str(len(request.body)))


urlpatterns = [path("webhook", webhook)]
one, two = bot("one"), bot("two")
vitals = one
wsgi, asgi = get_wsgi_application(), get_asgi_application()
for each in ORDER:
    each.instrument_app(wsgi)
    each.instrument_app(asgi)
"""
POST = {
    "wsgi": """
from werkzeug.test import Client
assert Client(app).post("/webhook", data=BODY, headers=HEADERS).text == str(len(BODY))
""",
    "asgi": """
import asyncio
import httpx

async def main():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bot.example") as client:
        assert (await client.post("/webhook", content=BODY, headers=HEADERS)).text == str(len(BODY))

asyncio.run(main())
""",
}
COUNTED = """
for each in (snippet.one, snippet.two):
    each.settle()
    counts = {labels: value for (family, labels, _), value in each.store.cells().items()
              if family == "chatvitals_webhooks_total"}
    assert counts == {("accepted",): 1.0}, counts
snippet.two.close()
"""


@pytest.mark.parametrize("order", ["(one, two)", "(two, one, two)", "(one, one, two, one)"])
@pytest.mark.parametrize("server", sorted(POST))
def test_20_each_vitals_counts_a_webhook_of_django_once(server: str, order: str, tmp_path: Path) -> None:
    """Django's middleware leaves the mark of an outer one."""
    code = DJANGO.replace("ORDER", order)
    snippets.run(code, tmp_path, f"app = snippet.{server}\n{POST[server]}\n{COUNTED}")


AROUND = {
    "wsgi": "app = chatvitals.ChatVitalsWSGIMiddleware(chatvitals.ChatVitalsWSGIMiddleware(app, one), two)",
    "asgi": "app = chatvitals.ChatVitalsMiddleware(chatvitals.ChatVitalsMiddleware(app, one), two)",
}


@pytest.mark.parametrize("server", sorted(AROUND))
def test_20_a_door_around_django_and_its_own_middleware_count_once(server: str, tmp_path: Path) -> None:
    """On ASGI, Django knows the mark by the scope alone."""
    around = f"import chatvitals\none, two = snippet.one, snippet.two\napp = snippet.{server}\n{AROUND[server]}"
    snippets.run(DJANGO.replace("ORDER", "(one, two)"), tmp_path, f"{around}\n{POST[server]}\n{COUNTED}")


SANIC = """
import os

import chatvitals
import sanic


def bot(name):
    return chatvitals.init(app_secret=os.environ["WHATSAPP_APP_SECRET"], store=f"sqlite:///{name}.db")


app = sanic.Sanic("bot")


@app.post("/webhook")
async def webhook(request):
    return sanic.text(str(len(request.body)))


one, two = bot("one"), bot("two")
vitals = one
for each in (one, two):
    each.instrument_app(app)
"""


STARTED = """
from starlette.testclient import TestClient

with TestClient(app) as client:
    assert client.post("/webhook", content=BODY, headers=HEADERS).text == str(len(BODY))
"""


def test_20_a_door_around_sanic_and_its_own_middleware_count_once(tmp_path: Path) -> None:
    """Sanic on ASGI knows the mark by the scope."""
    around = f"import chatvitals\none, two = snippet.one, snippet.two\napp = snippet.app\n{AROUND['asgi']}"
    snippets.run(SANIC, tmp_path, f"{around}\n{STARTED}\n{COUNTED}")
