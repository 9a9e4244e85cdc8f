"""Runs a bot's file as a process of its own: `python -m chatvitals.simulator.bot_process FILE PORT`.

The process ends when its standard input does, so that it never outlives whoever started it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import threading

import uvicorn


def main() -> None:
    """Serve the `app` of a Python file on loopback until standard input ends."""
    path, port = sys.argv[1], int(sys.argv[2])
    spec = importlib.util.spec_from_file_location("bot", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is no Python file")
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
    threading.Thread(target=_end_with_input, args=(server,), daemon=True).start()
    server.run()


def _end_with_input(server: uvicorn.Server) -> None:
    # The descriptor itself: a thread that holds sys.stdin's buffer would stop the interpreter from exiting cleanly.
    while os.read(0, 1):
        pass
    server.should_exit = True


if __name__ == "__main__":
    main()
