"""The modules that `import chatvitals` loads: a bot starts as fast as before."""

from __future__ import annotations

import subprocess
import sys

# Each costs a bot that does not use it some milliseconds and megabytes.
_HEAVY = (
    "asyncio",
    "concurrent.futures",
    "difflib",
    "httpx",
    "opentelemetry.sdk",
    "redis",
    "requests",
    "sqlite3",
    "starlette",
    "zoneinfo",
)


def test_the_import_brings_nothing_that_a_bot_may_not_need() -> None:
    """A module for some bots only is imported at its first use."""
    code = f"import sys, chatvitals; print(*[name for name in {_HEAVY!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
