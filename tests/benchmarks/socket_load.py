"""An open-loop load over keep-alive connections: requests start when they are due, whether or not others are answered.

A server that stalls is then seen by every request that falls due meanwhile, as it would be by WhatsApp.
"""

from __future__ import annotations

import asyncio
import random
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNECTIONS = 64
_TOO_LATE = 30.0  # seconds that a request may take before the run is given up


async def run(port: int, requests: Sequence[bytes], per_second: float, seed: int) -> list[float]:
    """Send all requests with exponential gaps. Return the seconds from when each was due to its answer.

    Raises:
        RuntimeError: the server answered something other than 200, or not at all.

    """
    gaps = random.Random(seed)
    free: asyncio.LifoQueue[_Connection] = asyncio.LifoQueue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await _Connection.open(port))
    seconds: list[float] = []

    async def send(request: bytes, due: float) -> None:
        connection = await free.get()
        if connection.reader.at_eof():  # servers close connections that were idle for some seconds
            connection.writer.close()
            connection = await _Connection.open(port)
        try:
            await connection.exchange(request)
        finally:
            free.put_nowait(connection)
        seconds.append(perf_counter() - due)

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
    return seconds


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
