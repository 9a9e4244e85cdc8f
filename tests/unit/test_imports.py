"""The modules that `import chatvitals` loads: a bot starts as fast as before."""

from __future__ import annotations

import subprocess
import sys

import pytest

import chatvitals

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


def test_a_method_that_is_looked_for_in_the_module_is_explained() -> None:
    """`init` returns the object that has it."""
    with pytest.raises(AttributeError, match=r"call vitals\.instrument_app\(\) on the result of chatvitals\.init\(\)"):
        chatvitals.instrument_app  # type: ignore[attr-defined] # noqa: B018 - the access raises
    with pytest.raises(AttributeError, match=r"has no attribute 'nothing'$"):
        chatvitals.nothing  # type: ignore[attr-defined] # noqa: B018 - as above
