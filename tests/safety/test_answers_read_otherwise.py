"""An answer of http.client is read by the bot alone, in any way. Each way is made bare and watched."""

from __future__ import annotations

import gc
import http.client
import io
import json
import socket
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals import http_hooks
from chatvitals.whatsapp import send_requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.helpers.ear import Ear

    Read = Callable[[http.client.HTTPResponse], Any]

SEND = json.dumps({"messaging_product": "whatsapp", "to": "15550004321", "type": "text", "text": {"body": "hi"}})
ANSWER = json.dumps({"contacts": [{"wa_id": "15550004321"}], "messages": [{"id": "wamid.one"}]}, indent=1).encode()


def framed(body: bytes, framing: str) -> bytes:
    """Return an answer as bytes."""
    if framing == "chunked":
        pieces = [body[at : at + 40] for at in range(0, len(body), 40)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    line = {
        "length": f"Content-Length: {len(body)}",
        "chunked": "Transfer-Encoding: chunked",
        "cut": "Content-Length: 9999",
    }
    return f"HTTP/1.1 200 OK\r\n{line.get(framing, 'Connection: close')}\r\n\r\n".encode() + body


def sent(through: socket.socket) -> http.client.HTTPConnection:
    """Send a message. Return the connection, whose answer is still to be read."""
    connection = http.client.HTTPConnection("api.example")
    connection.sock = through
    connection.request("POST", "/v24.0/990001/messages", SEND)
    return connection


def exchanged(read: Read, framing: str, body: bytes = ANSWER) -> Any:
    """Send a message over a pair of sockets. Return the bot's result, or its exception."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(framed(body, framing))
        theirs.shutdown(socket.SHUT_WR)
        connection = sent(ours)
        response = connection.getresponse()
        try:
            return read(response)
        except Exception as error:  # noqa: BLE001 - what comes out is what tests compare
            return type(error), str(error), getattr(error, "partial", None)
        finally:
            connection.close()


def as_bare(ear: Ear, read: Read, framing: str, body: bytes = ANSWER) -> Any:
    """Read an answer bare and watched. The bot must see the same both times."""
    bare = exchanged(read, framing, body)
    http_hooks.install(ear)
    assert exchanged(read, framing, body) == bare
    return bare


def _into(response: http.client.HTTPResponse, make: Callable[[], Any] = lambda: bytearray(16)) -> bytes:
    read = b""
    for _ in range(1000):
        buffer = make()
        count = response.readinto(buffer)
        if not count:
            return read
        read += bytes(memoryview(buffer).cast("B")[:count])
    raise AssertionError(read)


def _peeked(response: http.client.HTTPResponse) -> bytes:
    read = b""
    for _ in range(1000):
        ahead = response.peek()
        if not ahead:
            return read
        read += response.read(len(ahead))
    raise AssertionError(read)


def _buffered(response: http.client.HTTPResponse) -> bytes:
    with io.BufferedReader(response) as reader:
        return reader.read()


WAYS: dict[str, Callable[[http.client.HTTPResponse], bytes]] = {
    "read": lambda response: response.read(),
    "read nothing first": lambda response: response.read(0) + response.read(),
    "read in pieces": lambda response: b"".join(iter(lambda: response.read(7), b"")),
    "read by keyword": lambda response: response.read(amt=None),
    "read1": lambda response: b"".join(iter(response.read1, b"")),
    "read1 in pieces": lambda response: b"".join(iter(lambda: response.read1(7), b"")),
    "readline": lambda response: b"".join(iter(response.readline, b"")),
    "readline in pieces": lambda response: b"".join(iter(lambda: response.readline(7), b"")),
    "readlines": lambda response: b"".join(response.readlines()),
    "iteration": b"".join,
    "readinto": _into,
    "readinto a memoryview": lambda response: _into(response, lambda: memoryview(bytearray(50))),
    "readinto1": lambda response: b"".join(iter(lambda: _into1(response), b"")),
    "peek and read": _peeked,
    "a text wrapper": lambda response: io.TextIOWrapper(response, newline="").read().encode(),
    "a buffered reader": _buffered,
    "mixed": lambda response: response.readline() + response.read1(5) + response.read(3) + b"".join(response),
}


def _into1(response: http.client.HTTPResponse) -> bytes:
    buffer = bytearray(16)
    return bytes(buffer[: response.readinto1(buffer)])


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("way", WAYS)
def test_an_answer_is_read_as_bare_and_has_its_id(ear: Ear, way: str, framing: str) -> None:
    """Whichever method reads it, and however the answer ends."""
    bare = as_bare(ear, WAYS[way], framing)
    gc.collect()
    assert bare == ANSWER or isinstance(bare, tuple)  # http.client itself cannot read all of them in every way
    assert [(send.accepted, send.id) for send in ear.events] == [(True, "wamid.one" if bare == ANSWER else "")]


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_that_ends_too_early_is_as_bare(ear: Ear, way: str) -> None:
    """The same exception with the same part, and one send."""
    as_bare(ear, WAYS[way], "cut", ANSWER[:30])
    gc.collect()
    assert [(send.accepted, send.id) for send in ear.events] == [(True, "")]


@pytest.mark.parametrize("how", ["closed", "dropped"])
@pytest.mark.parametrize("way", ["readline", "read", "read1", "peek"])
def test_the_part_that_the_bot_has_read_counts(ear: Ear, way: str, how: str) -> None:
    """An answer in one line is whole after one line, whatever becomes of the rest."""
    body = json.dumps(json.loads(ANSWER)).encode() + b"\n"

    def read(response: http.client.HTTPResponse) -> Any:
        found = getattr(response, way)(*([len(body) - 1] if way in {"read", "read1"} else []))
        if how == "closed":
            response.close()
        return found

    assert as_bare(ear, read, "length", body).startswith(body[:-1])
    gc.collect()
    assert [send.id for send in ear.events] == ["wamid.one"]


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("way", WAYS)
def test_a_long_answer_is_not_kept(ear: Ear, monkeypatch: pytest.MonkeyPatch, way: str, framing: str) -> None:
    """It is something else than the answer to a send. The bot reads all of it, and the send counts by its status."""
    monkeypatch.setattr(send_requests, "MAX_BYTES", 2 * len(ANSWER))
    as_bare(ear, WAYS[way], framing, ANSWER[:-1] + b"\n" * 2 * len(ANSWER) + b"}")
    gc.collect()
    assert [(send.accepted, send.id) for send in ear.events] == [(True, "")]


def test_a_response_is_of_its_own_class_again_once_it_is_read(ear: Ear) -> None:
    """Nothing of ours stays on it."""
    http_hooks.install(ear)

    def read(response: http.client.HTTPResponse) -> Any:
        assert isinstance(response, http.client.HTTPResponse)
        response.readlines()
        return type(response), sorted(vars(response))

    kind, attributes = exchanged(read, "length")
    assert kind is http.client.HTTPResponse
    assert "_chatvitals" not in attributes


def test_an_answer_is_read_in_one_line_with_the_request(ear: Ear) -> None:
    """The bot has dropped the connection by then."""
    http_hooks.install(ear)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(framed(ANSWER, "length"))
        body = sent(ours).getresponse().read()  # not in an assert, where pytest would keep the connection
    assert body == ANSWER
    assert [(send.accepted, send.id) for send in ear.events] == [(True, "wamid.one")]


def test_a_connection_is_of_its_own_class_again_once_it_has_an_answer(ear: Ear) -> None:
    """Nothing of ours stays on it."""
    http_hooks.install(ear)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(framed(ANSWER, "length"))
        connection = sent(ours)
        assert isinstance(connection, http.client.HTTPConnection)
        connection.getresponse().read()
    assert type(connection) is http.client.HTTPConnection
    assert sorted(vars(connection)) == sorted(vars(http.client.HTTPConnection("api.example")))


def test_a_connection_that_is_used_again_after_a_lost_answer_counts_the_next(ear: Ear) -> None:
    """It is of its own class afterwards."""
    http_hooks.install(ear)
    lost, far, ours, theirs = *socket.socketpair(), *socket.socketpair()
    with lost, far, ours, theirs:
        theirs.sendall(framed(ANSWER, "length"))
        connection = sent(lost)
        connection.close()
        connection.sock = ours
        connection.request("POST", "/v24.0/990001/messages", SEND)
        assert connection.getresponse().read() == ANSWER
    assert type(connection) is http.client.HTTPConnection
    assert [(send.accepted, send.id) for send in ear.events] == [(True, "wamid.one")]


@pytest.mark.parametrize("answered", [False, True])
def test_what_the_bot_drops_is_freed_at_once(ear: Ear, *, answered: bool) -> None:
    """Its socket would otherwise stay open until the garbage collector comes."""
    http_hooks.install(ear)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(framed(ANSWER, "length"))
        connection = sent(ours)
        dropped = weakref.ref(connection.getresponse() if answered else connection)
        gc.disable()
        try:
            del connection
            assert dropped() is None
        finally:
            gc.enable()
