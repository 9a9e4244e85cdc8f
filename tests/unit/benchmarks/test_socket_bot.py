"""The bot of the benchmark over sockets has as many series as the benchmark says, and the scraper sees them."""

from __future__ import annotations

import gzip

from tests.benchmarks import scraper, socket_bot
from tests.helpers.asgi_server import serving


def test_ten_numbers_are_scraped_as_twelve_thousand_lines() -> None:
    """A scrape of a bot that has just started would cost less than those of real bots."""
    bot = socket_bot.make("memory:", 10)
    with serving() as serve:
        page = gzip.decompress(scraper.scrape(f"http://127.0.0.1:{serve(bot)}/metrics"))
    bot.state.vitals.close()
    assert 12_000 <= page.count(b"\n") < 13_000
    assert page.endswith(b"# EOF\n")
