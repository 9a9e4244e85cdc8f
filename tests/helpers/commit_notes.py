"""Notes of a bot about its commits. They tell a test what a killed worker had committed."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from chatvitals.vitals import Vitals


def noting_commits(vitals: Vitals, path: Path) -> None:
    """Let a bot note each commit that is over: its process, and when it began in monotonic seconds."""
    notes = path.open("a", buffering=1)
    pipeline: Any = vitals._pipeline
    drain = pipeline.drain

    def noted() -> bool:
        began = time.monotonic()
        done: bool = drain()
        if done:
            notes.write(f"{os.getpid()} {began!r}\n")
        return done

    pipeline.drain = noted


def last_commits(path: Path) -> dict[int, float]:
    """Return when the last commit of each process began, as `noting_commits` noted it."""
    return {int(pid): float(began) for pid, began in map(str.split, path.read_text().splitlines())}
