"""The processes of the demo: the stand-in's server in this process, the bot in a separate process, both on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import uvicorn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from starlette.applications import Starlette

_BOT = "starlette_bot.py"
_START_SECONDS = 60.0  # of a busy machine: the wait ends at once if the process does
_STOP_SECONDS = 1.4  # three times at most: SIGTERM ends the demo within 5 s


class StartError(Exception):
    """A part of the demo did not start. The message says what to do."""


def in_words(ranges: Sequence[tuple[float, float]]) -> str:
    """Return ranges of seconds in the format of the example bot."""
    return " ".join(f"{low:g}-{high:g}" for low, high in ranges)


def bot_file() -> Path:
    """Return the example bot's file, from the checkout or else from the installed package.

    Raises:
        StartError: the file does not exist.

    """
    places = [Path(__file__).resolve().parents[3] / "examples" / _BOT]
    with contextlib.suppress(metadata.PackageNotFoundError):
        places += [Path(str(entry.locate())) for entry in metadata.files("chatvitals") or () if entry.name == _BOT]
    for place in places:
        if place.is_file():
            return place
    raise StartError("examples/starlette_bot.py is missing: install chatvitals again")


def listen(port: int = 0) -> socket.socket:
    """Return a socket on loopback. Port 0 takes a free port.

    Raises:
        StartError: the port is taken.

    """
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        sock.close()
        raise StartError(f"port {port} cannot be used ({error}): choose another port with --port") from None
    return sock


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ignore signals, because they belong to the demo."""
        yield


@asynccontextmanager
async def serving(app: Starlette, sock: socket.socket) -> AsyncIterator[None]:
    """Serve `app` on `sock` for the body of the `with` statement."""
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
    server = _Server(config)
    task = asyncio.get_running_loop().create_task(server.serve(sockets=[sock]))
    try:
        yield
    finally:
        server.should_exit = True
        await task


class Bot:
    """The bot's process."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, log: Path) -> None:
        self.url: str = f"http://127.0.0.1:{port}"
        self._process = process
        self._log = log

    @property
    def running(self) -> bool:
        """Whether the process is running."""
        return self._process.returncode is None

    @property
    def words(self) -> str:
        """The output of the bot on its standard streams."""
        return self._log.read_text(errors="replace")

    async def ready(self, client: httpx.AsyncClient, verify_token: str) -> None:
        """Wait until the bot answers WhatsApp's handshake.

        Raises:
            StartError: the bot ended, or did not answer in time.

        """
        params = {"hub.mode": "subscribe", "hub.verify_token": verify_token, "hub.challenge": "1158201444"}
        loop = asyncio.get_running_loop()
        give_up = loop.time() + _START_SECONDS
        while self.running and loop.time() < give_up:
            with contextlib.suppress(httpx.TransportError):
                answer = await client.get(f"{self.url}/webhook", params=params)
                if answer.status_code == 200 and answer.text == params["hub.challenge"]:
                    return
            await asyncio.sleep(0.03)
        raise StartError(f"the bot did not start. It wrote:\n{self.words.strip() or '(nothing)'}")

    def think(self, ranges: Sequence[tuple[float, float]]) -> None:
        """Let the bot think for a time in one of `ranges` (seconds), from its next answer on."""
        if self._process.stdin is not None:
            self._process.stdin.write(f"{in_words(ranges)}\n".encode())

    async def stop(self) -> None:
        """End the process by closing its input, and by force where that is not enough."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        for force in (None, signal.SIGTERM, signal.SIGKILL):
            if force is not None and self.running:
                # `terminate` would collect a process that has just ended, and asyncio warns that it finds none
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._process.pid, force)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
                return


@asynccontextmanager
async def bot_process(port: int, environ: Mapping[str, str], log: Path) -> AsyncIterator[Bot]:
    """Run the example bot for the body of the `with` statement. Its output goes to the file `log`.

    It gets this process's environment without `CHATVITALS_*`. The demo's settings are in `environ`.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHATVITALS_")}
    # A separate session: Ctrl-C in the terminal is for the demo, which still needs the bot's last numbers.
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "chatvitals.demo.bot_process",
            str(bot_file()),
            str(port),
            env={**inherited, **environ},
            stdin=asyncio.subprocess.PIPE,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    bot = Bot(process, port, log)
    try:
        yield bot
    finally:
        await bot.stop()
