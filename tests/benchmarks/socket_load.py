"""An open-loop load over keep-alive connections: requests start when they are due, whether or not others are answered.

A server that stalls is then seen by every request that falls due meanwhile, as it would be by WhatsApp.
A request can also start late because the load's own core was busy. That is no fault of the server, so it is a figure
of its own.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNECTIONS = 64
_TOO_LATE = 30.0  # seconds that a request may take before the run is given up


class Latencies(NamedTuple):
    """Seconds of each request.

    Attributes:
        answered: From its start to its answer. A wait for a free connection counts.
        late: From when it was due to its start.

    """

    answered: list[float]
    late: list[float]


def run(port: int, requests: Sequence[bytes], per_second: float, seed: int) -> Latencies:
    """Send all requests with exponential gaps.

    Raises:
        RuntimeError: the server answered something other than 200, or not at all.

    """
    with asyncio.Runner(loop_factory=_precise_loop) as runner:
        return runner.run(_run(port, requests, per_second, seed))


def _precise_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop that wakes within microseconds. The default one rounds up to milliseconds."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


async def _run(port: int, requests: Sequence[bytes], per_second: float, seed: int) -> Latencies:
    gaps = random.Random(seed)
    free: asyncio.LifoQueue[_Connection] = asyncio.LifoQueue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await _Connection.open(port))
    found = Latencies([], [])

    async def send(request: bytes, due: float) -> None:
        start = perf_counter()
        connection = await free.get()
        if connection.reader.at_eof():  # servers close connections that were idle for some seconds
            connection.writer.close()
            connection = await _Connection.open(port)
        try:
            await connection.exchange(request)
        finally:
            free.put_nowait(connection)
        found.answered.append(perf_counter() - start)
        found.late.append(start - due)

    try:
        async with asyncio.timeout(_TOO_LATE + 2 * len(requests) / per_second), asyncio.TaskGroup() as group:
            due = perf_counter() + 0.05
            for request in requests:
                due += gaps.expovariate(per_second)
                await asyncio.sleep(max(due - perf_counter(), 0))
                group.create_task(send(request, due))
    except TimeoutError:
        raise RuntimeError(f"the server did not keep up with {per_second:g} requests a second") from None
    finally:
        while not free.empty():
            free.get_nowait().writer.close()
    return found


class _Connection:
    """One keep-alive connection."""

    __slots__ = ("reader", "writer")

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int) -> _Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def exchange(self, request: bytes) -> None:
        """Send a request and read its answer, whose length the server declares."""
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            status = head.partition(b"\r\n")[0].decode("latin-1")
            raise RuntimeError(f"the server answered {status}")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        await self.reader.readexactly(length)
