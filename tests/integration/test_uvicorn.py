"""One bot behind a real uvicorn: signed webhooks and replies over real HTTP, and ends of every kind."""

from __future__ import annotations

import json
import signal
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.helpers import services, stand_in
from tests.helpers.fleet import SETTLE_SECONDS, WhatsApp, answered, conserved, scrape, served
from tests.helpers.waiting import MOST_SECONDS

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from chatvitals.integrations.asgi import ASGIApp

COMMAND = [sys.executable, "-m", "uvicorn", "tests.helpers.fleet_bot:app", "--log-level", "warning", "--port"]


class Bot:
    """A bot that can be started again on the same store, and its customers."""

    def __init__(self, whatsapp: WhatsApp, graph_port: int, folder: Path) -> None:
        self.whatsapp = whatsapp
        self.port = services.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        whatsapp.urls = [self.url]
        self.times = folder / "times"
        self._log = folder / "log"
        self._environ = {
            "BOT_TIMES": str(self.times),
            "GRAPH_URL": f"http://127.0.0.1:{graph_port}",
            "CHATVITALS_APP_SECRET": stand_in.SECRET,
            "CHATVITALS_STORE": f"sqlite:///{folder / 'bot.db'}",
            "CHATVITALS_SETTLE_AFTER": f"{SETTLE_SECONDS:g}",
            "WHATSAPP_ACCESS_TOKEN": stand_in.TOKEN,
            "NO_PROXY": "127.0.0.1",
        }

    def running(self) -> AbstractContextManager[subprocess.Popen[bytes]]:
        """Run it for the body of a `with` statement, which gives its process."""
        return served([*COMMAND, str(self.port)], self.port, self._environ, self._log)

    def hear(self, customers: range, turns: int = 1, secret: str = stand_in.SECRET) -> None:
        """Let customers ask, all at once, in webhooks signed with `secret`, and wait for their answers."""
        self.whatsapp.secret = secret
        self.whatsapp.run(self.whatsapp.day(customers, turns, at_once=len(customers)))


@pytest.fixture
def bot(serve: Callable[[ASGIApp], int], tmp_path: Path) -> Bot:
    whatsapp = WhatsApp()
    return Bot(whatsapp, serve(whatsapp.app), tmp_path)


def test_signed_webhooks_count_exactly_and_forged_ones_not_at_all(bot: Bot) -> None:
    """The bot answers both, as it did before. The numbers are those of the customers' diaries with a true signature."""
    with bot.running():
        bot.hear(range(100, 103), secret="guessed")
        bot.whatsapp.finish()
        forged = bot.whatsapp.posts
        bot.whatsapp.diaries.clear()
        bot.hear(range(10), turns=2)
        bot.whatsapp.finish()
        bot.whatsapp.returned(bot.times)
        seen = bot.whatsapp.counted(20)
    waits = [wait for diary in bot.whatsapp.diaries.values() for wait in diary.waits]
    assert seen("messages_received_total") == len(waits) == 20
    assert seen("webhooks_total", result="accepted") == bot.whatsapp.posts - forged > 20
    assert seen("webhooks_total", result="bad_signature") == forged > 3
    assert seen("turns_opened_total", turn="first") == seen("turns_opened_total", turn="next") == 10
    assert seen("turns_total", outcome="answered") == 20
    bot.whatsapp.waited(seen("response_seconds_sum", actor="bot", evidence="api"), bot.times)
    assert seen("internal_errors_total") == seen("events_dropped_total") == 0
    conserved(seen)


def test_numbers_outlive_kill_9_and_what_waits_outlives_sigterm(bot: Bot) -> None:
    """Scraped numbers stay after `kill -9`. After SIGTERM the events of the last moment are there as well."""
    with bot.running() as process:
        bot.hear(range(10))
        bot.whatsapp.finish()
        bot.whatsapp.returned(bot.times)
        shown = bot.whatsapp.counted(10)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    with bot.running() as process:
        assert scrape(bot.url).shared() == shown.shared()
        bot.hear(range(10, 20))
        bot.whatsapp.returned(bot.times)
        process.terminate()
        process.wait(MOST_SECONDS)
    with bot.running():
        after = answered(bot.url, 20)
    assert shown("turns_total", outcome="answered") == 10
    assert after("messages_received_total") == after("turns_total", outcome="answered") == 20
    conserved(after)


def test_the_metrics_page_is_what_prometheus_asks_for(bot: Bot) -> None:
    """Text is the default, and OpenMetrics with its end mark comes on request. Nothing else differs."""
    with bot.running():
        plain = httpx.get(f"{bot.url}/metrics", trust_env=False, timeout=60)
        wanted = {"accept": "application/openmetrics-text; version=1.0.0"}
        modern = httpx.get(f"{bot.url}/metrics", headers=wanted, trust_env=False, timeout=60)
        missing = httpx.post(f"{bot.url}/elsewhere", content=json.dumps({}), trust_env=False)
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert modern.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert modern.text.endswith("# EOF\n")
    assert missing.status_code == 404
