"""The demo on real terminals of two sizes: what fits, how it ends, and its printed command."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING

import pytest

from chatvitals.cli import _common
from chatvitals.demo import processes
from chatvitals.doctor.report import CHECKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMMAND = [sys.executable, "-m", "chatvitals"]
_MOST_SECONDS = 300.0
SPECIAL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A demo on a pseudo terminal."""

    def __init__(self, columns: int, rows: int, *words: str) -> None:
        self.columns = columns
        self.text = ""
        self._main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": str(rows)}
        self.process = subprocess.Popen(
            [*COMMAND, "demo", "--port", "0", *words],
            stdin=side, stdout=side, stderr=side, env=environ, start_new_session=True,
        )  # fmt: skip
        os.close(side)

    def until(self, condition: Callable[[str], bool]) -> str:
        """Read until the condition holds for all that was written, or the process ends. Return what was written."""
        give_up = time.monotonic() + _MOST_SECONDS
        while not condition(self.text) and time.monotonic() < give_up:
            if select.select([self._main], [], [], 0.2)[0]:
                try:
                    self.text += os.read(self._main, 65_536).decode(errors="replace")
                except OSError:  # the other side is closed
                    break
        return self.text

    def frames(self) -> list[list[str]]:
        """Return each drawing of the live view, as lines without colours."""
        drawn = re.split(r"(?=chatvitals demo)", SPECIAL.sub("", self.text.replace("\r", "")))
        return [frame.split("\n") for frame in drawn if "full table." in frame]

    def close(self) -> None:
        """End the demo."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._main)


@pytest.fixture(params=[(80, 24), (60, 24)], ids=["80x24", "60x24"])
def terminal(request: pytest.FixtureRequest) -> Iterator[Terminal]:
    """A terminal in which the demo runs, in the scenario with the most to show."""
    opened = Terminal(*request.param, "--scenario", "quality-drop")
    yield opened
    opened.close()


@pytest.fixture
def plain() -> Iterator[subprocess.Popen[str]]:
    """A demo in plain lines."""
    command = [*COMMAND, "demo", "--plain", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def first_lines(process: subprocess.Popen[str]) -> list[str]:
    """Return the lines until the first numbers."""
    assert process.stdout is not None
    lines: list[str] = []
    for text in process.stdout:
        if text.lstrip().startswith("2 s"):
            break
        lines.append(text.rstrip("\n"))
    return lines


def test_the_live_view_fits_and_a_second_ctrl_c_is_a_sentence(terminal: Terminal) -> None:
    """Legend and numbers stay within the terminal. Nothing is cut off."""
    terminal.until(lambda text: text.count("paid  ") > 2)
    *_, last, _ = terminal.frames()
    shown = last[: next(number for number, text in enumerate(last) if "full table." in text) + 1]
    assert len(shown) <= 24
    assert max(map(len, (text.rstrip() for text in shown))) <= terminal.columns
    assert ["orders", "that", "reached", "customers", "metrics"] in [text.split() for text in shown]
    for _ in range(2):
        terminal.process.send_signal(signal.SIGINT)
        terminal.until(lambda text: "No more messages come" in text or "ended at once" in text)
    terminal.until(lambda _: False)
    assert "chatvitals demo: ended at once, without the closing table." in terminal.text
    assert "Traceback" not in terminal.text
    assert terminal.process.wait(60) == _common.INTERRUPTED


def test_the_printed_doctor_command_works_as_it_stands(plain: subprocess.Popen[str]) -> None:
    """Every check is made, and none needs attention."""
    lines = first_lines(plain)
    assert any(text.startswith("WhatsApp's stand-in: http://127.0.0.1:") for text in lines)
    start = next(number for number, text in enumerate(lines) if text.startswith("  chatvitals doctor "))
    end = next(number for number in range(start, len(lines)) if not lines[number].endswith("\\"))
    words = shlex.split("\n".join(lines[start : end + 1]).replace("\\\n", ""))  # as a shell joins lines
    assert words[0] == "chatvitals"
    done = subprocess.run([*COMMAND, *words[1:]], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == _common.OK, done.stdout + done.stderr
    assert f"{len(CHECKS)} checks passed." in done.stdout
    assert done.stdout.splitlines()[-1] == "Next step: none, because all checks passed."


def test_sigterm_ends_within_five_seconds(plain: subprocess.Popen[str]) -> None:
    """Containers are stopped that way. What may take time is the end of the bot, in three attempts."""
    assert 3 * processes._STOP_SECONDS < 5.0
    first_lines(plain)
    plain.send_signal(signal.SIGTERM)
    _, err = plain.communicate(timeout=60)
    assert plain.returncode == _common.INTERRUPTED
    assert err == "chatvitals demo: ended at once, without the closing table.\n"
