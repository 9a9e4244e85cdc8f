"""A Prometheus that only asks: `python -m tests.benchmarks.scraper URL` scrapes a page for each line of its input.

The line tells in how many seconds. It asks for what Prometheus asks for, which is OpenMetrics, compressed.
"""

from __future__ import annotations

import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from typing import Final

ACCEPT: Final = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"


def scrape(url: str) -> bytes:
    """Return the answer to one scrape, as it was sent."""
    headers = {"Authorization": "Bearer t", "Accept": ACCEPT, "Accept-Encoding": "gzip"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        body: bytes = answer.read()
        return body


if __name__ == "__main__":
    for line in sys.stdin:
        time.sleep(float(line))
        with suppress(urllib.error.HTTPError):  # the bare bot has no such page
            scrape(sys.argv[1])
