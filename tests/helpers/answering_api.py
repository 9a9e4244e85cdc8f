"""A stand-in for the API whose answers have many forms, and the facts of sends to it."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

from chatvitals import http_hooks
from tests.helpers.asgi_server import body_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.helpers.ear import Ear


NUMBER, PHONE = "990005556667778", "15550004321"
PATH = f"/v24.0/{NUMBER}/messages"
TEXT = {"messaging_product": "whatsapp", "to": PHONE, "type": "text", "text": {"body": "hi"}}
RAW = json.dumps(TEXT).encode()
FORM = {**TEXT, "text": json.dumps(TEXT["text"])}
TEMPLATE = {**TEXT, "type": "template", "template": {"name": "menu", "language": {"code": "it"}}}
MARK = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.x"}
ACCEPTED = json.dumps({"contacts": [{"wa_id": PHONE}], "messages": [{"id": "wamid.one"}]}).encode()
REFUSED = b'{"error": {"code": 131047}}'
ANSWERS: dict[str, tuple[int, bytes, str]] = {  # status, body and encoding
    "": (200, ACCEPTED, ""),
    "chunks": (200, ACCEPTED, ""),
    "gzip": (200, gzip.compress(ACCEPTED), "gzip"),
    "deflate": (200, zlib.compress(ACCEPTED), "deflate"),
    "gzip, refused": (400, gzip.compress(REFUSED), "gzip"),
    "no gzip": (200, ACCEPTED, "identity"),
    "refused": (400, REFUSED, ""),
    "refused with 200": (200, REFUSED, ""),
    "HTML": (502, b"<html>Bad gateway</html>", ""),
    "HTML with 200": (200, b"<html>Welcome</html>", ""),
    "empty": (200, b"", ""),
    "no content": (204, b"", ""),
    "BOM": (200, b"\xef\xbb\xbf" + ACCEPTED, ""),
    "UTF-16": (200, ACCEPTED.decode().encode("utf-16"), ""),
}


class Api:
    """A stand-in for the API. The header `x-answer` names its answer, and `/moved/STATUS/` redirects."""

    def __init__(self) -> None:
        self.port = 0
        self.seen: list[tuple[str, str, bytes]] = []
        self.refusals = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        body = await body_of(receive)
        self.seen.append((scope["method"], scope["path"], body))
        name = dict(scope["headers"]).get(b"x-answer", b"").decode()
        status, content, encoding = ANSWERS[name]
        headers = [(b"content-type", b"application/json")]
        if encoding:
            headers.append((b"content-encoding", encoding.encode()))
        if self.refusals:
            self.refusals -= 1
            status, content = 503, b"busy"
        if scope["path"].startswith("/moved/"):
            _, _, code, rest = scope["path"].split("/", 3)
            status, content, headers = int(code), b"", [(b"location", f"/{rest}".encode())]
        if name != "chunks" and status != 204:
            headers.append((b"content-length", b"%d" % len(content)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for start in range(0, len(content), 10):
            await send({"type": "http.response.body", "body": content[start : start + 10], "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class Fact(NamedTuple):
    """What a send is about, and how it ended."""

    number: str = NUMBER
    phone: str = PHONE
    kind: str = "reply"
    id: str = "wamid.one"
    code: str = ""
    template: str = ""


def facts(ear: Ear) -> list[Fact]:
    """Return the facts of all sends."""
    assert all(send.accepted == (not send.code) for send in ear.events)
    assert not ear.guard.errors
    return [Fact(send.phone_number_id, send.wa_id, send.kind, send.id, send.code, send.template) for send in ear.events]


def as_bare(api: Api, ear: Ear, make: Callable[[], Any]) -> Any:
    """Make a call bare and watched. Client and server must see the same both times. Return what the client saw."""
    seen: list[Any] = []
    for watched in (False, True):
        if watched:
            http_hooks.install(ear)
        api.seen.clear()
        try:
            outcome = make()
        except Exception as error:  # noqa: BLE001 - what comes out is compared
            outcome = type(error)
        seen.append((outcome, list(api.seen)))
    assert seen[0] == seen[1]
    return seen[0][0]
