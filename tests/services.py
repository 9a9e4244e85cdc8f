"""Programs that some tests need beside Python."""

from __future__ import annotations

import os
import shutil

import pytest


def require(program: str) -> str:
    """Return the path of a program; where it is missing, skip the test, or fail it when CI has promised it."""
    path = shutil.which(program)
    if path is None:
        reason = f"{program} is not installed"
        if os.environ.get("CHATVITALS_REQUIRE_SERVICES") == "1":
            pytest.fail(f"{reason}, and CHATVITALS_REQUIRE_SERVICES=1 asks for it")
        pytest.skip(reason)
    return path
