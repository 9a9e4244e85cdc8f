"""Lines of a log come in order of time, within a window that has an end."""

from __future__ import annotations

import io
import json
import random

import pytest

from chatvitals.cli import webhook_log
from chatvitals.cli.webhook_log import OrderError, WebhookLog


def log(times: list[float], **window: int) -> list[float]:
    """Return the times of a log's lines in the order in which they are given."""
    text = b"".join(json.dumps({"received": time, "body": "x"}).encode() + b"\n" for time in times)
    return [line.received for line in WebhookLog(io.BytesIO(text), _ignore, _fail, **window)]


def _ignore(_: float) -> None:
    pass


def _fail(number: int, reason: str) -> None:
    raise AssertionError((number, reason))


def test_lines_are_sorted_within_the_window() -> None:
    chance = random.Random(5)
    times = [float(i) for i in range(1, 500)]
    mixed = sorted(times, key=lambda time: time + chance.uniform(0, 9))
    assert log(mixed, window_lines=10) == times


def test_lines_of_one_time_keep_their_order() -> None:
    text = b"".join(json.dumps({"received": 5, "body": str(i)}).encode() + b"\n" for i in range(50))
    assert [line.body for line in WebhookLog(io.BytesIO(text), _ignore, _fail)] == [str(i).encode() for i in range(50)]


def test_a_line_behind_the_window_is_named() -> None:
    with pytest.raises(OrderError, match=r"line 5 is 3 s earlier than line 2"):
        log([3, 4, 5, 6, 1], window_lines=2)


def test_the_window_has_a_bound_in_bytes() -> None:
    assert log([2, 1, 4, 3], window_bytes=60) == [1, 2, 3, 4]
    with pytest.raises(OrderError, match="line 3"):
        log([5, 6, 1], window_bytes=30)


def test_a_line_without_an_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_log, "_MOST_BYTES", 1024 * 1024)
    good = b'{"received": 1, "body": "x"}'
    skipped: list[tuple[int, str]] = []
    source = io.BytesIO(b"x" * 5_000_000 + b"\n" + good + b"\n" + b"x" * 3_000_000)
    lines = list(WebhookLog(source, _ignore, lambda number, reason: skipped.append((number, reason))))
    assert [line.body for line in lines] == [b"x"]
    assert skipped == [(1, "it is longer than 1 MiB"), (3, "it is longer than 1 MiB")]
