"""Output of findings: one line each for a terminal of 80 columns without colours, or JSON."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from typing import TYPE_CHECKING, TextIO

from chatvitals.analysis import text_width

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chatvitals.doctor.finding import Finding, State

CHECKS = (
    "access token", "token scopes", "clock", "webhook fields", "subscription", "callback override", "business number",
    "callback address", "store", "metrics", "metrics protected", "webhook path", "last webhook", "received and sent",
    "handshake", "wrong verify token", "bad signature", "no signature",
)  # fmt: skip
"""The names of all checks, in the order in which they run."""

_URGENT = (
    "variables", "access token", "token scopes", "webhook path", "webhook fields", "subscription", "callback address",
    "store", "metrics", "received and sent", "last webhook",
)  # fmt: skip
_SYMBOLS: dict[State, str] = {"ok": "✓", "attention": "!", "skipped": "-"}
_PLAIN_OK = "+"  # for terminals without a check mark
_STYLES: dict[State, str] = {"ok": "green", "attention": "bold yellow", "skipped": "dim"}
_WORD = max(map(len, _SYMBOLS))
_CHECK = max(map(len, CHECKS))
_WIDEST = 110


class Report:
    """The findings so far. Text is printed at once, and JSON at the end.

    Args:
        secrets: texts that must never be printed.
        as_json: whether to print JSON.

    """

    def __init__(self, secrets: Iterable[str] = (), *, as_json: bool = False) -> None:
        self.findings: list[Finding] = []
        self._secrets = tuple(secrets)
        self._as_json = as_json
        self._out = sys.stdout
        self._width = min(shutil.get_terminal_size((80, 24)).columns, _WIDEST)
        self._paint = _painter(self._out)

    @property
    def needs_attention(self) -> bool:
        """Whether any finding needs attention."""
        return any(finding.state == "attention" for finding in self.findings)

    def add(self, finding: Finding) -> None:
        """Add a finding. It replaces an earlier finding of the same check and subject."""
        shown = finding.without(self._secrets)
        self.findings = [old for old in self.findings if (old.check, old.subject) != (shown.check, shown.subject)]
        self.findings.append(shown)
        if not self._as_json:
            self._print(shown)

    def say(self, sentence: str) -> None:
        """Print a sentence that is not a finding. With JSON it goes to standard error."""
        print(sentence, file=sys.stderr if self._as_json else self._out, flush=True)

    def close(self) -> None:
        """Print the summary, or all findings as JSON."""
        if self._as_json:
            print(json.dumps([finding._asdict() for finding in self.findings], indent=2, ensure_ascii=False))  # noqa: T201 - a command's voice
        else:
            self.say(f"\n{summary(self.findings)}")
            self.say("\n".join(_wrapped(next_step(self.findings), self._width, "", "")))

    def _print(self, finding: Finding) -> None:
        first, *others = lines(finding, self._width, check_mark=_can_show("✓", self._out))
        cut = 2 + _WORD
        self._out.write("\n".join([self._paint(first[:cut], finding.state) + first[cut:], *others]) + "\n")
        self._out.flush()


def lines(finding: Finding, width: int = 80, *, check_mark: bool = True) -> list[str]:
    """Return a finding as lines of at most `width` columns, unless a word is longer."""
    symbol = _SYMBOLS[finding.state] if check_mark or finding.state != "ok" else _PLAIN_OK
    head = f"{symbol} {finding.state:<{_WORD}}  {finding.check:<{_CHECK}}  "
    text = f"{finding.subject}: {finding.found}" if finding.subject else finding.found
    indent = " " * len(head)
    made = _wrapped(text, width, head, indent)
    less = " " * (4 + _WORD)
    return [*made, *_wrapped(finding.next, width, f"{less}→ " if check_mark else f"{less}> ", f"{less}  ")]


def summary(findings: Sequence[Finding]) -> str:
    """Return the closing line."""
    states = Counter(finding.state for finding in findings)
    made = states["ok"] + states["attention"]
    tail = f" {states['skipped']} skipped." if states["skipped"] else ""
    if not made:
        return f"Nothing was checked.{tail}"
    if not states["attention"]:
        return f"{made} {'check' if made == 1 else 'checks'} passed.{tail}"
    verb = "needs" if states["attention"] == 1 else "need"
    return f"{made} checked, {states['attention']} {verb} attention.{tail}"


def next_step(findings: Sequence[Finding]) -> str:
    """Return a sentence on the next step. Findings that cause other findings come first."""
    wrong = [finding for finding in findings if finding.state == "attention"]
    if wrong:
        first = min(wrong, key=lambda finding: (*_URGENT, finding.check).index(finding.check))
        return f"Next step ({first.check}): {first.next}."
    if all(finding.state == "skipped" for finding in findings):
        return "Next step: give --app MODULE:APP, or --metrics-url URL."
    return "Next step: none, because all checks passed."


def _wrapped(text: str, width: int, first: str, others: str) -> list[str]:
    return text_width.wrapped(text, width, first, others, break_words=False)


def _can_show(text: str, out: TextIO) -> bool:
    try:
        text.encode(out.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


class _Painter:
    """A painter that colours words with rich, on a terminal where rich is installed."""

    def __init__(self, out: TextIO) -> None:
        from rich.console import Console  # noqa: PLC0415 - an extra
        from rich.text import Text  # noqa: PLC0415 - as above

        self._console = Console(file=out, highlight=False)
        self._text = Text

    def __call__(self, text: str, state: State) -> str:
        with self._console.capture() as painted:
            self._console.print(self._text(text, style=_STYLES[state]), end="")
        return painted.get()


def _painter(out: TextIO) -> _Painter | _Colourless:
    if out.isatty():
        try:
            return _Painter(out)
        except ModuleNotFoundError:
            pass
    return _Colourless()


class _Colourless:
    def __call__(self, text: str, _: State) -> str:
        return text
