"""Reading of a log of raw webhooks, with its lines sorted by time within a bounded window."""

from __future__ import annotations

import heapq
from codecs import BOM_UTF8
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LATEST: Final = 2.0**32  # the limit of a contact's message log (the year 2106); milliseconds are larger
_MOST_BYTES: Final = 16 * 1024 * 1024  # of one line; a webhook has at most 3 MB
_WINDOW_LINES: Final = 200_000
_WINDOW_BYTES: Final = 64 * 1024 * 1024


class LogLine(NamedTuple):
    """One webhook of a log."""

    received: float
    body: bytes
    headers: dict[str, str]


class OrderError(Exception):
    """The log goes back in time further than the window reaches. The message names the lines."""


class _Item(msgspec.Struct):
    """A line of the log. msgspec decodes `base64`."""

    received: float | str
    body: str | dict[str, Any] | None = None
    base64: bytes | None = None
    headers: dict[str, str] = {}


_decode = msgspec.json.Decoder(_Item).decode


def parse(text: bytes) -> LogLine:
    """Parse one line of a log.

    Raises:
        ValueError: the line is not a JSON object with `received` (Unix seconds or an ISO time) and a body.
        RecursionError: the line is nested too deeply.

    """
    item = _decode(text)
    received = _seconds(item.received)
    if item.base64 is not None:
        body = item.base64
    elif isinstance(item.body, str):
        body = item.body.encode()
    elif item.body is not None:
        body = msgspec.json.encode(item.body)
    else:
        raise ValueError("it has neither `body` nor `base64`")
    return LogLine(received, body, item.headers)


class WebhookLog:
    """The webhooks of a log, in order of time.

    The logs of several workers are never fully sorted. Lines wait in a window until it is full, and the earliest line
    leaves first. A line that is earlier than a line that has left already is an error.

    Args:
        source: the log with one JSON object per line.
        advance: called with the length of each line in bytes.
        skip: called with the number of an unreadable line and the reason.
        window_lines: most lines in the window.
        window_bytes: most bytes in the window.

    """

    def __init__(
        self,
        source: IO[bytes],
        advance: Callable[[float], None],
        skip: Callable[[int, str], None],
        *,
        window_lines: int = _WINDOW_LINES,
        window_bytes: int = _WINDOW_BYTES,
    ) -> None:
        self._source = source
        self._advance = advance
        self._skip = skip
        self._window_lines = window_lines
        self._window_bytes = window_bytes

    def __iter__(self) -> Iterator[LogLine]:
        """Yield the lines in order of time.

        Raises:
            OrderError: a line is earlier than a line that was already yielded.

        """
        window: list[tuple[float, int, int, LogLine]] = []
        waiting = 0
        last, last_number = 0.0, 0
        for number, size, line in self._lines():
            if line.received < last:
                raise OrderError(_goes_back(number, last_number, last - line.received, self._window_lines))
            heapq.heappush(window, (line.received, number, size, line))
            waiting += size
            while len(window) > self._window_lines or waiting > self._window_bytes:
                last, last_number, left, earliest = heapq.heappop(window)
                waiting -= left
                yield earliest
        while window:
            yield heapq.heappop(window)[3]

    def _lines(self) -> Iterator[tuple[int, int, LogLine]]:
        """Yield each readable line, with its number and its size in bytes."""
        number = 0
        while text := self._source.readline(_MOST_BYTES + 1):
            number += 1
            self._advance(len(text))
            if number == 1:
                text = text.removeprefix(BOM_UTF8)  # Windows programs begin a text file with it
            if len(text) > _MOST_BYTES:
                self._leave_line(text)
                self._skip(number, f"it is longer than {_MOST_BYTES // 1024**2} MiB")
            elif text.strip():
                try:
                    line = parse(text)
                except RecursionError:
                    self._skip(number, "it is nested too deeply")
                except ValueError as error:  # msgspec's errors name positions and quote no data
                    self._skip(number, str(error))
                else:
                    yield number, len(text), line

    def _leave_line(self, text: bytes) -> None:
        """Skip the rest of a line that is too long."""
        while text and not text.endswith(b"\n"):
            text = self._source.readline(_MOST_BYTES)
            self._advance(len(text))


def _seconds(received: float | str) -> float:
    """Return the time of arrival of a line, in Unix seconds."""
    if isinstance(received, str):
        try:
            received = datetime.fromisoformat(received).timestamp()
        except (ValueError, OverflowError):
            raise ValueError("`received` is neither Unix seconds nor an ISO 8601 time") from None
    if not 0 < received < _LATEST:
        raise ValueError("`received` is not a time in Unix seconds")
    return received


def _goes_back(number: int, earlier: int, seconds: float, window: int) -> str:
    return (
        f"line {number} is {seconds:g} s earlier than line {earlier}, and only {window:,} lines can be sorted at once. "
        "Merge the logs of several workers by time first: jq -cs 'sort_by(.received)[]' one.jsonl two.jsonl"
    )
