"""`chatvitals replay`: a log becomes numbers, and a history that Prometheus takes."""

from __future__ import annotations

import base64
import functools
import io
import itertools
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.cli import main, replay, webhook_log
from chatvitals.testing import payloads
from chatvitals.whatsapp import signatures
from tests.helpers.services import require
from tests.helpers.single_worker import EPOCH

if TYPE_CHECKING:
    from collections.abc import Sequence

SECRET = "a-secret"


def line(received: float, *items: dict[str, Any], **more: Any) -> str:
    """Return a line of a log: a webhook with `items`, received `received` seconds after the epoch."""
    body = json.dumps(payloads.webhook(items, received))
    return json.dumps({"received": EPOCH + received, "body": body, **more})


def asks(received: float, contact: str, name: str, **more: Any) -> str:
    return line(received, {"in": "text", "contact": contact, "id": name}, **more)


def replies(received: float, contact: str, name: str) -> str:
    return line(received, {"status": "sent", "contact": contact, "id": name, "category": "service"})


TWO_TURNS = [
    asks(0.5, "A", "m1"),
    replies(4.5, "A", "r1"),
    asks(30.5, "B", "m2"),
    asks(31.5, "B", "m3"),
    asks(32.5, "B", "m3"),
    replies(90.5, "A", "r1"),
]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("CHATVITALS_") and name != "CHATVITALS_REQUIRE_SERVICES":
            monkeypatch.delenv(name)


def write(tmp_path: Path, lines: Sequence[str | bytes]) -> Path:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"\n".join(text.encode() if isinstance(text, str) else text for text in lines) + b"\n")
    return path


def summary(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Return the printed rows."""
    captured = capsys.readouterr()
    assert captured.err == ""
    return {
        name.strip(): value.strip()
        for name, value in (re.split(r"\s{2,}", row.strip(), maxsplit=1) for row in captured.out.splitlines())
    }


def test_a_log_becomes_a_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One answered turn, one that nobody answered. The end of the log is not the end of the waiting."""
    assert main.main(["replay", str(write(tmp_path, TWO_TURNS))]) == 0
    assert summary(capsys) == {
        "lines": "6 read, 0 skipped",
        "webhooks": "6 accepted",
        "messages": "3",
        "duplicates": "2",
        "conversations": "2",
        "turns": "2",
        "ended": "1 answered, 1 unanswered",
        "average response": "4.0 s",
        "wait p50, p95": "≤ 5 s, > 14400 s or no answer",
    }


def test_bodies_may_be_text_base64_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And times Unix seconds or ISO."""
    raw = json.dumps(payloads.webhook([{"in": "text", "contact": "A", "id": "m1"}], 0)).encode()
    plain = payloads.webhook([{"in": "text", "contact": "B", "id": "m2"}], 60)
    lines = [
        json.dumps({"received": EPOCH, "base64": base64.b64encode(raw).decode()}),
        json.dumps({"received": "2026-11-23T00:01:00Z", "body": plain, "later": "fields are ignored"}),
        asks(120, "C", "m3", headers={}),
    ]
    assert main.main(["replay", str(write(tmp_path, lines))]) == 0
    found = summary(capsys)
    assert (found["lines"], found["messages"], found["turns"]) == ("3 read, 0 skipped", "3", "3")


def test_lines_that_cannot_be_read_are_counted_and_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A log that was cut or mixed with other lines still gives its webhooks."""
    broken: list[str | bytes] = [
        "", "   ", "garbage", "[]", "{}", '{"received": 5}', '{"body": "x"}', '{"received": "soon", "body": "x"}',
        '{"received": -1, "body": "x"}', '{"received": NaN, "body": "x"}', '{"received": 1795392000000, "body": "x"}',
        '{"received": 5e9, "body": "x"}', '{"received": 1795392000, "body": 5}', b"\xff\xfe\x00",
        '{"received": 1795392000, "base64": "!"}', '{"received": 1795392000, "body": "x", "headers": [1]}',
        '{"received": 1' + "0" * 400 + ', "body": "x"}', "[" * 100_000, asks(1, "A", "m1")[:-9],
    ]  # fmt: skip
    assert main.main(["replay", str(write(tmp_path, [*TWO_TURNS, *broken]))]) == 0
    captured = capsys.readouterr()
    assert f"6 read, {len(broken) - 2} skipped" in captured.out
    assert len(captured.err.splitlines()) == len(broken) - 2


def test_a_line_that_cannot_be_read_is_named_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Blank lines count as lines, and nothing of a line is quoted."""
    lines = [
        TWO_TURNS[0],
        "",
        "private text",
        '{"received": "yesterday", "body": ""}',
        '{"received": 5}',
        '{"received": 5, "body": {"a": ' + "[" * 100_000,
    ]
    assert main.main(["replay", str(write(tmp_path, lines))]) == 0
    told = capsys.readouterr().err.splitlines()
    assert [row.split(":")[1] for row in told] == [f" line {number} is skipped" for number in (3, 4, 5, 6)]
    assert told[1].endswith("`received` is neither Unix seconds nor an ISO 8601 time")
    assert told[2].endswith("it has neither `body` nor `base64`")
    assert told[3].endswith("it is nested too deeply")
    assert "private" not in told[0]
    assert "yesterday" not in told[1]


def test_many_bad_lines_are_counted_after_the_first_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is no log must not fill the terminal."""
    assert main.main(["replay", str(write(tmp_path, [*TWO_TURNS, *["garbage"] * 1000]))]) == 0
    captured = capsys.readouterr()
    assert len(captured.err.splitlines()) == 21
    assert "980 more lines are skipped" in captured.err
    assert "6 read, 1000 skipped" in captured.out


def test_bodies_that_are_no_webhooks_are_counted_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line is good, what it holds is not."""
    lines = [*TWO_TURNS, json.dumps({"received": EPOCH + 200, "body": "<html>"})]
    assert main.main(["replay", str(write(tmp_path, lines))]) == 0
    assert summary(capsys)["webhooks"] == "6 accepted, 1 undecodable"


def test_lines_that_are_out_of_order_keep_their_own_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Logs of several workers are merged more or less by time."""
    lines = [
        *TWO_TURNS,
        asks(300, "C", "m9"),
        asks(302.5, "D", "m1"),
        asks(301.5, "D", "m0"),
        replies(306.5, "D", "r1"),
    ]
    assert main.main(["replay", str(write(tmp_path, lines))]) == 0
    found = summary(capsys)
    assert (found["turns"], found["ended"]) == ("4", "2 answered, 2 unanswered")
    assert found["average response"] == "4.5 s"  # 4 s, and 5 s from the message that came second


def test_the_logs_of_two_workers_one_after_the_other_lose_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One worker has the questions of a day, the other the statuses of the answers."""
    contacts = "ABCDEFGH"
    first = [asks(3600.5 * i + 1, contact, f"m{i}") for i, contact in enumerate(contacts)]
    second = [replies(3600.5 * i + 5, contact, f"r{i}") for i, contact in enumerate(contacts)]
    assert main.main(["replay", str(write(tmp_path, [*first, *second]))]) == 0
    assert summary(capsys)["ended"] == "8 answered"


def test_the_output_is_never_the_log_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Under the same name, another name or a link, and through standard input."""
    log = write(tmp_path, TWO_TURNS)
    before = log.read_bytes()
    (tmp_path / "link").symlink_to(log)
    (tmp_path / "hard").hardlink_to(log)
    for name in ("log.jsonl", "./log.jsonl", "link", "hard"):
        assert main.main(["replay", str(log), "--openmetrics", f"{tmp_path}/{name}"]) == 2
        assert "is the log itself" in capsys.readouterr().err
    code = "import sys; from chatvitals.cli.main import main; sys.exit(main(sys.argv[1:]))"
    with log.open("rb") as source:
        command = [sys.executable, "-c", code, "replay", "-", "--openmetrics", str(log)]
        found = subprocess.run(command, stdin=source, capture_output=True, text=True, timeout=300, check=False)
    assert found.returncode == 2
    assert "is the log itself" in found.stderr
    assert log.read_bytes() == before


def test_a_log_that_goes_back_too_far_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers of a log in disorder would look like numbers."""
    log = write(tmp_path, [*TWO_TURNS, asks(1.5, "C", "m9")])
    small = functools.partial(webhook_log.WebhookLog, window_lines=2)
    monkeypatch.setattr(replay, "WebhookLog", small)
    assert main.main(["replay", str(log), "--openmetrics", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "line 7 is 30 s earlier than line 4" in captured.err
    assert not (tmp_path / "out").exists()


def test_signatures_are_checked_where_a_secret_is_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log's headers are those of the requests."""
    monkeypatch.setenv("CHATVITALS_APP_SECRET", SECRET)
    body = json.dumps(payloads.webhook([{"in": "text", "contact": "A", "id": "m1"}], 0))
    good = {"x-hub-signature-256": signatures.sign(body.encode(), SECRET)}
    lines = [
        json.dumps({"received": EPOCH, "body": body, "headers": headers})
        for headers in (good, {"X-Hub-Signature-256": "sha256=0"}, {})
    ]
    assert main.main(["replay", str(write(tmp_path, lines))]) == 0
    found = summary(capsys)
    assert found["webhooks"] == "1 accepted, 1 bad_signature, 1 unsigned"
    assert found["messages"] == "1"


def test_standard_input_is_a_log_too(tmp_path: Path) -> None:
    """As in `zcat log.gz | chatvitals replay -`. Only the summary is kept."""
    code = "import sys; from chatvitals.cli.main import main; sys.exit(main(['replay', '-']))"
    text = "\n".join(TWO_TURNS)
    found = subprocess.run(
        [sys.executable, "-c", code], input=text, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert "6 read, 0 skipped" in found.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("lines", [[], ["garbage"], ["", ""]])
def test_a_log_without_a_webhook_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[str]
) -> None:
    """Numbers of nothing would look like numbers."""
    assert main.main(["replay", str(write(tmp_path, lines))]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    last = captured.err.splitlines()[-1]
    assert re.search(r"^chatvitals replay: .*log.jsonl holds no webhook \(\d lines could not be read\)$", last)


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As is an output that cannot be written, before an hour of work."""
    assert main.main(["replay", str(tmp_path / "no.jsonl")]) == 2
    assert "no.jsonl" in capsys.readouterr().err
    log = write(tmp_path, TWO_TURNS)
    assert main.main(["replay", str(log), "--openmetrics", str(tmp_path / "no" / "out")]) == 2
    assert re.match("chatvitals replay: .*out cannot be used: No such file", capsys.readouterr().err)


def test_a_wrong_setting_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same settings as the bot's, from the same variables."""
    monkeypatch.setenv("CHATVITALS_SETTLE_AFTER", "soon")
    assert main.main(["replay", str(write(tmp_path, TWO_TURNS))]) == 2
    assert "settle_after must be a number" in capsys.readouterr().err


def test_the_same_log_gives_the_same_history_twice(tmp_path: Path) -> None:
    """The log's clock is the only one."""
    log, outputs = write(tmp_path, TWO_TURNS), []
    for name in ("one", "two"):
        assert main.main(["replay", str(log), "--openmetrics", str(tmp_path / name), "--every", "600"]) == 0
        text = (tmp_path / name).read_text()
        outputs.append([row for row in text.splitlines() if "store_commit_seconds" not in row])
    assert outputs[0] == outputs[1]
    assert outputs[0][-1] == "# EOF"


def _dump(promtool: str, data: Path) -> dict[str, list[tuple[float, float]]]:
    """Return what Prometheus has: (seconds since the epoch, value) by series."""
    (data / "wal").mkdir()  # some versions of promtool read only what a server has touched
    command = [promtool, "tsdb", "dump", str(data)]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    series: dict[str, list[tuple[float, float]]] = {}
    for row in dumped.stdout.splitlines():
        labels, value, at = row.rsplit(" ", 2)
        series.setdefault(labels, []).append((int(at) / 1000 - EPOCH, float(value)))
    return {labels: sorted(samples) for labels, samples in series.items()}


def test_prometheus_takes_the_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks are made of it by promtool, and what it finds in them is what happened when."""
    promtool = require("promtool")
    monkeypatch.setenv("CHATVITALS_UNANSWERED_AFTER", "3600")
    out, data = tmp_path / "out.txt", tmp_path / "data"
    assert main.main(["replay", str(write(tmp_path, TWO_TURNS)), "--openmetrics", str(out), "--every", "15"]) == 0
    command = [promtool, "tsdb", "create-blocks-from", "openmetrics", str(out), str(data)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert made.returncode == 0, made.stderr
    series = _dump(promtool, data)

    def changes(*parts: str) -> list[tuple[float, float]]:
        """Return the one series with all these parts as the points at which it changed, the first one before all."""
        [found] = [samples for labels, samples in series.items() if all(part in labels for part in parts)]
        return found[:1] + [after for before, after in itertools.pairwise(found) if before[1] != after[1]]

    assert changes("chatvitals_turns_opened_total", 'turn="first"') == [(15.5, 1), (45.5, 2)]
    assert changes('chatvitals_turns_open"', 'turn="first"') == [(15.5, 0), (45.5, 1), (3645.5, 0)]
    assert changes("chatvitals_turns_total", 'turn="first"', 'outcome="unanswered"') == [(15.5, 0), (3645.5, 1)]
    assert changes("chatvitals_response_seconds_sum", 'evidence="status"') == [(15.5, 4)]
    assert all(math.isfinite(value) for samples in series.values() for _, value in samples)
    for labels, samples in series.items():
        if "_total" in labels or "_bucket" in labels:
            values = [value for _, value in samples]
            assert values == sorted(values), labels


def test_missing_programs_skip_or_fail_as_ci_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where CI has promised the servers, a missing one is a failure."""
    monkeypatch.delenv("CHATVITALS_REQUIRE_SERVICES", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program is not installed"):
        require("no-such-program")
    monkeypatch.setenv("CHATVITALS_REQUIRE_SERVICES", "1")
    with pytest.raises(pytest.fail.Exception, match="is not installed"):
        require("no-such-program")
    assert require(Path(sys.executable).name)


def test_closed_pipes_and_odd_input_end_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard input may be anything with bytes in it."""

    class Stdin:
        buffer = io.BytesIO("\n".join(TWO_TURNS).encode())

    monkeypatch.setattr(sys, "stdin", Stdin())
    assert main.main(["replay", "-"]) == 0
    assert summary(capsys)["turns"] == "2"
