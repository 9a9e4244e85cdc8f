"""A separate process for a bot's file: `python -m chatvitals.demo.bot_process FILE PORT`.

The process ends when its standard input does, so that it never outlives its parent. A line of ranges, such as
`0.5-1.5 4-15`, replaces the bot's `THINK`. It simulates a slower model or a new prompt in a running bot.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from types import ModuleType


def main() -> None:
    """Serve the `app` of a Python file on loopback until standard input ends."""
    path, port = sys.argv[1], int(sys.argv[2])
    spec = importlib.util.spec_from_file_location("bot", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = uvicorn.Config(
        module.app,
        host="127.0.0.1",
        port=port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    threading.Thread(target=_heed_input, args=(server, module), daemon=True).start()
    server.run()


def _heed_input(server: uvicorn.Server, bot: ModuleType) -> None:
    # The descriptor itself, because a thread that holds sys.stdin's buffer would prevent a clean exit.
    rest = b""
    while read := os.read(0, 1024):
        *lines, rest = (rest + read).split(b"\n")
        for line in lines:
            bot.__dict__["THINK"] = [tuple(map(float, part.split("-"))) for part in line.decode().split()]
    server.should_exit = True


if __name__ == "__main__":
    main()
