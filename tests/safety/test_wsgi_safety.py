"""What WSGI has besides: files, generators, bodies read in any way, and responses that are closed."""

from __future__ import annotations

import io
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, request
from werkzeug.test import EnvironBuilder

from chatvitals import context
from chatvitals.integrations.wsgi import ChatVitalsWSGIMiddleware
from tests.conftest import webhook_body
from tests.helpers.asgi_apps import CONTACT
from tests.helpers.doors import DOORS

if TYPE_CHECKING:
    from chatvitals.context import ContactIds
    from tests.conftest import DoorVitals

BODY = webhook_body("393331234567", "wamid.1")


def test_a_file_of_the_server_passes_as_the_same_object(door: type[DoorVitals]) -> None:
    """Servers know `wsgi.file_wrapper` by its type and send the file by themselves."""

    class FileWrapper:
        def __init__(self, file: Any) -> None:
            self.close = lambda: None

    made = FileWrapper(None)

    def app(environ: Any, start_response: Any) -> Any:
        environ["wsgi.input"].read()
        start_response("200 OK", [])
        return made

    environ: dict[str, Any] = {"REQUEST_METHOD": "POST", "PATH_INFO": "/webhook", "wsgi.file_wrapper": FileWrapper}
    environ["wsgi.input"] = io.BytesIO(BODY)
    vitals = door()
    response: Any = ChatVitalsWSGIMiddleware(app, vitals)(environ, lambda *_: None)
    assert response is made
    assert vitals.results == ["accepted"]


def test_an_app_that_is_a_generator_knows_its_contact(door: type[DoorVitals]) -> None:
    """It runs while the server sends the response, and ends when it is closed."""
    known: list[ContactIds | None] = []
    vitals = door()

    def app(environ: Any, start_response: Any) -> Any:
        environ["wsgi.input"].read()
        known.append(context.current())
        start_response("200 OK", [])
        yield b"a"
        known.append(context.current())
        yield b"b"

    assert DOORS["wsgi"].call(ChatVitalsWSGIMiddleware(app, vitals), [BODY]).pieces == [b"a", b"b"]
    assert known == [CONTACT, CONTACT]
    assert context.current() is None
    assert vitals.results == ["accepted"]


def test_what_runs_when_a_response_is_closed_knows_its_contact(door: type[DoorVitals]) -> None:
    """Flask's `call_on_close` is where bots send their replies after the answer."""
    known: list[ContactIds | None] = []

    class Response:
        def __iter__(self) -> Any:
            return iter([b"ok"])

        def close(self) -> None:
            known.append(context.current())

    def app(environ: Any, start_response: Any) -> Any:
        environ["wsgi.input"].read()
        start_response("200 OK", [])
        return Response()

    assert DOORS["wsgi"].call(ChatVitalsWSGIMiddleware(app, door()), [BODY]).pieces == [b"ok"]
    assert known == [CONTACT]


@pytest.mark.parametrize("way", ["lines", "iterated", "readinto", "read1", "readlines", "read to the end"])
def test_a_body_is_copied_whichever_way_it_is_read(door: type[DoorVitals], way: str) -> None:
    """Frameworks use all of them, and a chunked body has no length."""
    body = BODY.replace(b", ", b",\n")
    ways: dict[str, Any] = {
        "lines": lambda stream: b"".join(iter(stream.readline, b"")),
        "iterated": b"".join,
        "readinto": lambda stream: b"".join(bytes(buffer[:n]) for n, buffer in iter(lambda: _into(stream), (0, None))),
        "read1": lambda stream: b"".join(iter(lambda: stream.read1(64), b"")),
        "readlines": lambda stream: b"".join(stream.readlines()),
        "read to the end": lambda stream: b"".join(iter(lambda: stream.read(64), b"")),
    }

    def app(environ: Any, start_response: Any) -> Any:
        read = ways[way](environ["wsgi.input"])
        start_response("200 OK", [])
        return [read]

    vitals = door()
    outcome = DOORS["wsgi"].call(ChatVitalsWSGIMiddleware(app, vitals), [body])
    assert outcome.pieces == [body]
    assert vitals.read == [(body, None)]


class Plain:
    """A body with the four methods that WSGI asks for, as uWSGI and gunicorn have it."""

    def __init__(self, body: bytes) -> None:
        bare = io.BytesIO(body)
        self.read, self.readline, self.readlines, self.__iter__ = (
            bare.read,
            bare.readline,
            bare.readlines,
            bare.__iter__,
        )


@pytest.mark.parametrize("name", ["read", "readline", "readlines", "read1", "readinto", "seek", "tell", "close"])
@pytest.mark.parametrize("bare", [Plain(BODY), io.BytesIO(BODY)], ids=["plain", "file"])
def test_a_body_has_the_methods_that_the_server_gave_it(door: type[DoorVitals], bare: object, name: str) -> None:
    """Werkzeug calls `readinto` where there is one, and `read` elsewhere."""
    found: list[bool] = []

    def app(environ: Any, start_response: Any) -> Any:
        found.append(hasattr(environ["wsgi.input"], name))
        start_response("200 OK", [])
        return [b"ok"]

    watched = ChatVitalsWSGIMiddleware(app, door())
    for path in ("/webhook", "/another"):
        environ = {"REQUEST_METHOD": "POST", "PATH_INFO": path, "CONTENT_TYPE": "application/json", "wsgi.input": bare}
        watched(environ, lambda *_: None)
    assert found == [hasattr(bare, name)] * 2


@pytest.mark.parametrize("path", ["/webhook", "/another"])
def test_flask_reads_a_plain_body_within_its_limit(door: type[DoorVitals], path: str) -> None:
    """With uWSGI always, and with gunicorn where `MAX_CONTENT_LENGTH` is set."""
    app, vitals = Flask("bot"), door()
    app.config["MAX_CONTENT_LENGTH"] = 1_000_000
    app.add_url_rule("/<_>", "hook", lambda _: request.get_data(), methods=["POST"])
    environ = EnvironBuilder(path=path, method="POST", content_type="application/json").get_environ()
    environ |= {"wsgi.input": Plain(BODY), "CONTENT_LENGTH": str(len(BODY))}
    answered: list[str] = []
    watched = ChatVitalsWSGIMiddleware(app, vitals)
    assert b"".join(watched(environ, lambda status, *_: answered.append(status))) == BODY
    assert answered == ["200 OK"]
    assert vitals.read == ([(BODY, None)] if path == "/webhook" else [])


def _into(stream: Any) -> tuple[int, Any]:
    buffer = bytearray(64)
    count = stream.readinto(buffer)
    return (count, buffer) if count else (0, None)


def test_10_32_mib_cost_a_wsgi_server_under_2_mib_more(door: type[DoorVitals]) -> None:
    """Pieces of a body that is too large are not kept."""

    class Endless:
        left = 512

        def read(self, size: int) -> bytes:
            self.left -= 1
            return bytes(64 * 1024) if self.left > 0 else b""

    def app(environ: Any, start_response: Any) -> Any:
        while environ["wsgi.input"].read(64 * 1024):
            pass
        start_response("200 OK", [])
        return [b"ok"]

    vitals = door(max_body=1024 * 1024)
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/webhook", "wsgi.input": Endless()}
    tracemalloc.start()
    try:
        ChatVitalsWSGIMiddleware(app, vitals)(environ, lambda *_: None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * 1024 * 1024
    assert vitals.results == ["oversize"]


def test_a_body_that_the_bot_reads_again_is_copied_from_its_beginning(door: type[DoorVitals]) -> None:
    """Django moves to the end of a body to learn its size."""

    def app(environ: Any, start_response: Any) -> Any:
        stream = environ["wsgi.input"]
        stream.read(10)
        assert stream.seek(0, 2) == len(BODY)
        assert stream.read() == b""
        stream.seek(0)
        start_response("200 OK", [])
        return [stream.read()]

    vitals = door()
    assert DOORS["wsgi"].call(ChatVitalsWSGIMiddleware(app, vitals), [BODY]).pieces == [BODY]
    assert vitals.read == [(BODY, None)]
