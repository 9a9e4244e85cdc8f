"""Every server that is stopped lets chatvitals close: what waits is committed, and leases are given back."""

from __future__ import annotations

import os
import signal
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from chatvitals.metrics import catalogue
from chatvitals.stores import open_store
from tests.conftest import webhook_body
from tests.helpers import services
from tests.helpers.waiting import until

WABA = "100200300"
BOT = "tests.helpers.ending_bot:app"
COMMANDS = {
    "uvicorn": f"uvicorn {BOT} --port {{port}}",
    "uvicorn without lifespan": f"uvicorn {BOT} --lifespan off --port {{port}}",
    "uvicorn with a supervisor": f"uvicorn {BOT} --lifespan off --workers 1 --port {{port}}",
    "hypercorn": f"hypercorn {BOT} --bind 127.0.0.1:{{port}}",
    "daphne": f"daphne {BOT} --bind 127.0.0.1 --port {{port}}",
    "granian": f"granian {BOT} --host 127.0.0.1 --port {{port}} --interface asgi",
    "granian without lifespan": f"granian {BOT} --host 127.0.0.1 --port {{port}} --interface asginl",
    "gunicorn": f"gunicorn {BOT} --bind 127.0.0.1:{{port}} --worker-class asgi",
}


@pytest.mark.parametrize("server", COMMANDS)
def test_31_a_server_that_is_stopped_closes_everything(server: str, tmp_path: Path) -> None:
    """The last webhook counts, and another process can poll at once."""
    words = COMMANDS[server]
    if find_spec(words.split()[0]) is None:
        services.skip_without(words.split()[0])
    port = services.free_port()
    url, store = f"http://127.0.0.1:{port}", f"sqlite:///{tmp_path / 'bot.db'}"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CHATVITALS_")}
    environ |= {
        "BOT_STORE": store,
        "BOT_WABA": WABA,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, "-m", *words.format(port=port).split()]
    with services.running(command, tmp_path / "log", port, env=environ, cwd=tmp_path) as process:
        with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
            until("the lease of the poller", lambda: client.get("/held").text == "1")
            assert client.post("/webhook", content=webhook_body("393331234567", "wamid.1")).status_code == 200
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    left = open_store(store)
    assert sum(value for cell, value in left.cells().items() if cell[0] == catalogue.WEBHOOKS.name) == 1
    assert left.lease(f"poll:{WABA}", "another process", 60.0, time.time())
    left.close()
