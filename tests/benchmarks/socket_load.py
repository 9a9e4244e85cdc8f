"""An open-loop load over keep-alive connections: requests start when they are due, whether or not others are answered.

A server that stalls is then seen by every request that falls due meanwhile, as it would be by WhatsApp.
The load's own core may be busy. So the kernel says when an answer arrived, and a late start is a figure of its own.
Requests while the host or another process had a core are left out.
"""

from __future__ import annotations

import random
import select
import socket
import struct
import time
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.benchmarks.lost_moments import LostMoments

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNECTIONS: Final = 64
_TOO_LATE: Final = 30.0  # seconds that a request may take before the run is given up
_LONGEST_WAIT: Final = 1.0  # seconds
_SO_TIMESTAMPNS: Final = 35  # of Linux; the module `socket` does not name it
_TIMESPEC: Final = struct.Struct("qq")
_MOST_BYTES: Final = 65536  # of an answer that is read at once


class Latencies(NamedTuple):
    """Seconds of each request, without those that the host or another process disturbed.

    Attributes:
        answered: From its start to the arrival of its answer. A wait for a free connection counts.
        late: From when it was due to its start.
        kept: Share of all requests that are not left out.

    """

    answered: list[float]
    late: list[float]
    kept: float


class _Exchange(NamedTuple):
    """The Unix times of one request."""

    due: float
    started: float
    arrived: float


def run(
    port: int, requests: Sequence[bytes], per_second: float, seed: int, neighbours: Sequence[int] = ()
) -> Latencies:
    """Send all requests with exponential gaps.

    Args:
        port: the server's port on this machine.
        requests: the requests, whole.
        per_second: how many start in a second on average.
        seed: of the gaps.
        neighbours: processes that may take a core, see `lost_moments.neighbours`.

    Raises:
        RuntimeError: the server answered something other than 200, or not at all.

    """
    load = _Load(port, neighbours)
    try:
        return load.run(requests, per_second, random.Random(seed))
    finally:
        load.close()


class _Load:
    """Connections of which each carries one request at a time."""

    def __init__(self, port: int, neighbours: Sequence[int] = ()) -> None:
        self._port = port
        self._free = [_Connection(port) for _ in range(CONNECTIONS)]
        self._busy: dict[int, _Connection] = {}
        self._waiting: deque[tuple[bytes, float, float]] = deque()
        self._exchanges: list[_Exchange] = []
        self._lost = LostMoments(time.time(), neighbours)

    def run(self, requests: Sequence[bytes], per_second: float, gaps: random.Random) -> Latencies:
        """Send the requests and wait for their answers."""
        due = time.time() + 0.05
        given_up = due + _TOO_LATE + 2 * len(requests) / per_second
        for request in requests:
            due += gaps.expovariate(per_second)
            while (now := time.time()) < due:
                self._read(due - now)
            self._lost.look(now)
            self._waiting.append((request, due, now))
            self._send()
        while self._busy:
            self._read(_LONGEST_WAIT)
            if time.time() > given_up:
                raise RuntimeError(f"the server did not keep up with {per_second:g} requests a second")
        self._lost.look(time.time() + 1)
        kept = [each for each in self._exchanges if not self._lost.touch(each.due, each.arrived)]
        return Latencies(
            [each.arrived - each.started for each in kept],
            [each.started - each.due for each in kept],
            len(kept) / max(len(self._exchanges), 1),
        )

    def close(self) -> None:
        """Close all connections."""
        for each in [*self._free, *self._busy.values()]:
            each.socket.close()
        self._lost.close()

    def _send(self) -> None:
        while self._waiting and self._free:
            connection = self._free.pop()
            if connection.is_closed():  # servers close connections that were idle for some seconds
                connection.socket.close()
                connection = _Connection(self._port)
            connection.send(*self._waiting.popleft())
            self._busy[connection.socket.fileno()] = connection

    def _read(self, most: float) -> None:
        """Wait at most `most` seconds and read what has arrived. `select` is exact to microseconds."""
        for each in select.select(self._busy, (), (), most)[0]:
            connection = self._busy[each]
            if connection.has_answer():
                self._exchanges.append(_Exchange(connection.due, connection.started, connection.arrived))
                del self._busy[each]
                self._free.append(connection)
        self._send()


class _Connection:
    """One keep-alive connection.

    Attributes:
        due: Unix time at which its request should have started.
        started: Unix time at which it started. It is before the sending, if no connection was free.
        arrived: Unix time at which the kernel had the last bytes of the answer.

    """

    __slots__ = ("_answer", "arrived", "due", "socket", "started")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.due = self.started = self.arrived = 0.0
        self._answer = b""

    def send(self, request: bytes, due: float, started: float) -> None:
        self.due, self.started = due, started
        self._answer = b""
        self.socket.sendall(request)

    def is_closed(self) -> bool:
        """Return whether the server has closed the idle connection."""
        return bool(select.select([self.socket], (), (), 0)[0])

    def has_answer(self) -> bool:
        """Read what has arrived. Return whether the answer is complete, whose length the server declares."""
        try:
            data, about, _, _ = self.socket.recvmsg(_MOST_BYTES, socket.CMSG_SPACE(_TIMESPEC.size))
        except ConnectionError:
            data = b""
        if not data:
            raise RuntimeError("the server closed the connection instead of an answer")
        seconds, nanoseconds = _TIMESPEC.unpack(about[0][2])
        self.arrived = seconds + 1e-9 * nanoseconds
        self._answer += data
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 200"):
            status = head.partition(b"\r\n")[0].decode("latin-1")
            raise RuntimeError(f"the server answered {status}")
        return len(body) >= int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
