"""The end of the demo's bot."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from chatvitals.demo import processes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_a_bot_that_goes_on_is_ended_and_collected_by_asyncio_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else asyncio may find no process any more, and its warning would stand between the lines of the demo."""
    monkeypatch.setattr(processes, "_STOP_SECONDS", 0.1)
    monkeypatch.setattr(subprocess.Popen, "send_signal", lambda *_: pytest.fail("it collects the process"))

    async def end() -> int | None:
        program = [sys.executable, "-c", "import time; time.sleep(600)"]
        process = await asyncio.create_subprocess_exec(*program, stdin=asyncio.subprocess.PIPE)
        await processes.Bot(process, 0, tmp_path / "log").stop()
        return await process.wait()

    assert asyncio.run(end()) != 0
