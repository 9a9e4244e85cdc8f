"""The demo as a command: real processes, real HTTP on loopback, and both sides compared at the end."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from chatvitals.cli import _common, demo
from chatvitals.demo import order_flow, processes
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND = [sys.executable, "-c", "import sys; from chatvitals.cli.main import main; sys.exit(main(sys.argv[1:]))"]


def _start(duration: float | None, scenario: str = "calm", port: int = 0) -> subprocess.Popen[str]:
    words = ["demo", "--plain", "--scenario", scenario, "--port", f"{port}"]
    if duration is not None:
        words += ["--duration", f"{duration}"]
    return subprocess.Popen(
        [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


DURATIONS = {"calm": 15, "slow": 8, "outage": 13, "quality-drop": 55}


@pytest.fixture(scope="module")
def demos() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """One demo of each scenario, all at the same time."""
    running = {scenario: _start(duration, scenario) for scenario, duration in DURATIONS.items()}
    yield running
    for process in running.values():
        process.kill()
        process.communicate()


@pytest.mark.parametrize("scenario", DURATIONS)
def test_customers_and_metrics_agree(scenario: str, demos: dict[str, subprocess.Popen[str]]) -> None:
    """In each scenario the demo exits 0, with a table in which every row agrees and nothing went wrong inside."""
    out, err = demos[scenario].communicate(timeout=300)
    assert demos[scenario].returncode == _common.OK, out + err
    assert "Customers and metrics agree." in out
    assert "Inside chatvitals" not in out
    assert err == ""
    funnel = [text for text in out.splitlines() if text.startswith("order: ")]
    assert [text.split()[1] for text in funnel] == list(order_flow.STEPS)
    assert all(text.endswith("yes") for text in funnel)
    if scenario == "quality-drop":
        told = [text for text in out.splitlines() if "(metrics: " in text and " rating " in text and "|" not in text]
        for fall in ("GREEN -> YELLOW", "YELLOW -> RED"):
            assert any(f"(metrics: {fall})" in text for text in told), told


def test_metrics_are_served_while_it_runs_and_ctrl_c_ends_it_with_the_table() -> None:
    """The address of the first lines answers. The first Ctrl-C brings the table, and the bot's process ends too.

    By then somebody has reached each step.
    """
    with _start(None) as demo_process, ExitStack() as stack:
        stack.callback(demo_process.kill)  # or the end of `with` would wait for ever
        assert demo_process.stdout is not None
        url = ""
        for text in demo_process.stdout:
            if text.startswith("Metrics: "):
                url = text.split()[1]
            if text.lstrip().startswith("2 s"):
                break

        def page() -> str:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return str(answer.read(), "utf-8")

        assert "chatvitals_turns_opened_total" in page()
        until("an order that is paid", lambda: re.search(r'runs_total\{.*outcome="completed".*\} [1-9]', page()), page)
        shown = subprocess.run([*COMMAND, "journeys", "--metrics", url], capture_output=True, text=True, check=True)
        assert "order: " in shown.stdout
        demo_process.send_signal(signal.SIGINT)
        out, err = demo_process.communicate(timeout=300)
    assert demo_process.returncode == _common.OK, out + err
    assert "Customers and metrics agree." in out
    funnel = [text.split() for text in out.splitlines() if text.startswith("order: ")]
    assert [words[1] for words in funnel if words[2] != "0"] == list(order_flow.STEPS)
    port = int(url.rpartition(":")[2].partition("/")[0])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_port_that_is_taken_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """The message says which port and which option helps."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert demo.run(1, "calm", plain=True, port=port) == _common.WRONG
    assert f"port {port} cannot be used" in capsys.readouterr().err


def test_a_bot_that_does_not_start_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message shows the bot's last output."""
    broken = tmp_path / "bot.py"
    broken.write_text("raise SystemExit('no such model')\n")
    monkeypatch.setattr(processes, "bot_file", lambda: broken)
    assert demo.run(1, "calm", plain=True, port=0) == _common.WRONG
    assert "the bot did not start. It wrote:\nno such model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("duration", "scenario", "said"),
    [
        (1.0, "stormy", "The scenarios are: calm, slow, outage, quality-drop"),
        (-1.0, "calm", "number of seconds above 0"),
        (20.0, "quality-drop", "takes at least 36 s"),
    ],
)
def test_a_wrong_option_is_a_sentence(
    duration: float, scenario: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing starts, and the message names the allowed values."""
    assert demo.run(duration, scenario, plain=True, port=0) == _common.WRONG
    assert said in capsys.readouterr().err
