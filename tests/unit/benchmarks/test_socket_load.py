"""The load of the benchmark over sockets: every answer is read to its end."""

from __future__ import annotations

import random
import socket
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks import socket_load
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REQUEST = b"POST /webhook HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def server(*pieces: bytes, answers: int = 1000) -> Iterator[int]:
    """Answer each request with these pieces, at most `answers` times on a connection, until the block ends."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:

        def serve(client: socket.socket) -> None:
            with closing(client):
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for _ in range(answers):
                    if not client.recv(1000):
                        break
                    for piece in pieces:
                        client.sendall(piece)

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(client,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("pieces", [[ANSWER], [ANSWER[:-2], b"o", b"k"], [ANSWER[:9], ANSWER[9:]]])
def test_an_answer_may_come_in_pieces(pieces: list[bytes]) -> None:
    """Each request has one latency, which ends with the last piece."""
    with server(*pieces) as port:
        seen = socket_load.run(port, [REQUEST] * 50, 5000.0, 1)
    assert len(seen.answered) == len(seen.late) == round(seen.kept * 50)
    assert min(seen.answered, default=1.0) > 0
    assert min(seen.late, default=0.0) >= 0


def test_a_connection_that_the_server_closed_is_replaced() -> None:
    """Servers close idle connections, and that is no failure of the bot."""
    with server(ANSWER) as port, server(answers=0) as closing_port, closing(socket_load._Load(closing_port)) as load:
        for connection in load._free:
            until("the end of the connection", connection.is_closed)
        load._port = port
        seen = load.run([REQUEST] * 50, 5000.0, random.Random(1))
    assert len(seen.answered) == round(seen.kept * 50)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", "the server answered HTTP/1.1 500 Oops"),
        (b"", "the server closed the connection instead of an answer"),
    ],
)
def test_a_failed_request_ends_the_run(answer: bytes, sentence: str) -> None:
    """A bot that fails is not measured."""
    with server(answer, answers=1) as port, pytest.raises(RuntimeError) as caught:
        socket_load.run(port, [REQUEST], 100.0, 1)
    assert str(caught.value) == sentence
