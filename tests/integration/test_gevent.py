"""Greenlets in one process, whatever the bot has gevent replace. `test_fleet.py` has gunicorn's workers of gevent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.helpers import services
from tests.helpers.fleet import Scrape, conserved

ROOT = Path(__file__).parents[2]
BOT = "tests.helpers.greenlet_bot"
PEOPLE = 20
CELLS = [
    ("all", "sqlite"),
    ("all", "redis"),
    ("no time", "sqlite"),
    ("no time", "redis"),
    ("no threads", "sqlite"),
    ("sockets only", "sqlite"),
    ("after the import", "redis"),
]


def run(mode: str, store: str) -> subprocess.CompletedProcess[str]:
    """Run the bot. It ends itself with a traceback if all of its greenlets wait."""
    if find_spec("gevent") is None:
        services.skip_without("gevent")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CHATVITALS_")}
    environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", BOT, mode, store], capture_output=True, text=True, env=environ, check=False, timeout=600
    )


@pytest.mark.parametrize(("mode", "store_url"), CELLS, indirect=["store_url"])
def test_greenlets_count_everything_and_never_hold_up_each_other(mode: str, store_url: str) -> None:
    """Webhooks at once, sends with requests, a locked file, and scrapes at once."""
    done = run(mode, store_url)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    page = Scrape(told["page"])
    assert told["held_up"] == []
    assert page("webhooks_total", result="accepted") == PEOPLE
    assert page("turns_total", outcome="answered") == page("sends_total", result="accepted") == PEOPLE
    assert page("internal_errors_total") == page("events_dropped_total") == 0
    conserved(page)
    assert "Traceback" not in done.stderr


def test_a_redis_is_refused_where_sockets_are_bound_to_threads() -> None:
    """The sentence says what to do. The bot and our thread share the connections, and gevent forbids it."""
    done = run("no threads", "redis://127.0.0.1:9/0")
    assert done.returncode == 1
    assert "SettingsError: store: gevent has replaced sockets and kept threads" in done.stderr
    assert "call gevent.monkey.patch_all() without thread=False, before import chatvitals" in done.stderr
