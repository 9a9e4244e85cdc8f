"""Applications of Starlette that tests call bare and watched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from chatvitals import context
from chatvitals.context import ContactIds
from chatvitals.integrations.asgi import ChatVitalsMiddleware

if TYPE_CHECKING:
    from starlette.requests import Request

    from chatvitals.integrations.asgi import ASGIApp
    from tests.conftest import AsgiDriver, DoorVitals, Exchange


CONTACT = ContactIds("1", "393331234567", "")


def as_bare(driver: AsgiDriver, vitals: DoorVitals, app: ASGIApp, **more: Any) -> Exchange:
    """Call `app` without and with the door. Say that both saw and did the same, and return the latter."""
    scope = more.pop("scope", None) or driver.scope()
    bare = driver.call(app, dict(scope), **more)
    ours = driver.call(ChatVitalsMiddleware(app, vitals), dict(scope), **more)
    assert ours.sent == bare.sent
    assert ours.received == bare.received
    assert ours.error is bare.error or (type(ours.error), str(ours.error)) == (type(bare.error), str(bare.error))
    return ours


async def echo(request: Request) -> PlainTextResponse:
    """Answer with the length of the body and the contact at hand."""
    body = await request.body()
    return PlainTextResponse(f"{len(body)} {context.current() == CONTACT}")


def echo_app(**more: Any) -> Starlette:
    return Starlette(routes=[Route("/webhook", echo, methods=["POST"])], **more)
