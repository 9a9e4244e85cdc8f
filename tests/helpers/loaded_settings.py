"""Settings without the environment of the process."""

from __future__ import annotations

from typing import Any

from chatvitals.settings import Settings

HIDDEN = "hunter2-hunter2-hunter2"


def load(**given: Any) -> Settings:
    return Settings.load(given, environ={})
