"""The demo's display: a live table or plain lines, and at the end both sides row by row."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from chatvitals.analysis import text_width
from chatvitals.demo import comparison, order_flow

if TYPE_CHECKING:
    from chatvitals.demo.comparison import Reported, Row
    from chatvitals.demo.ground_truth import Truth
    from chatvitals.demo.rating_timeline import Seen
    from chatvitals.demo.scenarios import Scenario

_PLAIN_EVERY_SECONDS = 2.0
_GAP = "  "
_INDENT = "       "
_HEAD = ("", "customers", "metrics", "allowed", "agree")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The current state of the demo."""

    elapsed: float
    present: int
    truth: Truth
    reported: Reported | None
    """The latest scrape, or None while there is none."""
    trouble: bool
    seen: Seen | None = None
    """The ratings so far, or None in a scenario without ratings."""


class View(Protocol):
    """A display of the demo."""

    def start(self, scenario: Scenario, metrics_url: str) -> None:
        """Show the start of the run."""

    def show(self, moment: Snapshot) -> None:
        """Show the current state. It is called a few times per second."""

    def say(self, sentence: str) -> None:
        """Show a sentence."""

    def end(self, rows: list[Row], outcome: str) -> None:
        """Show the outcome and the verdict as sentences, then the table."""

    def stop(self) -> None:
        """Release the terminal without a table."""


class PlainView:
    """Lines of text, for logs and pipes. A terminal shows each state on several lines, which fit 80 columns."""

    def __init__(self) -> None:
        self._next = 0.0
        self._width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None

    def start(self, scenario: Scenario, metrics_url: str) -> None:
        """Show the start of the run."""
        about = f"chatvitals demo, scenario {scenario.name}: {scenario.about}."
        self.say(about if self._width is None else "\n".join(text_width.wrapped(about, self._width)))
        self.say(f"Metrics: {metrics_url}")
        self.say("Ctrl-C ends it with a table of both sides.")

    def show(self, moment: Snapshot) -> None:
        """Print a line every two seconds."""
        if moment.elapsed < self._next:
            return
        self._next += _PLAIN_EVERY_SECONDS
        state = line(moment)
        self.say(state if self._width is None else state.replace(" | ", f"\n{_INDENT}"))

    def say(self, sentence: str) -> None:
        """Print a sentence at once, without delay in a pipe."""
        print(sentence, flush=True)  # noqa: T201 - the output of the demo

    def end(self, rows: list[Row], outcome: str) -> None:
        """Print the outcome, the verdict and the table."""
        for text in ("", outcome, comparison.verdict(rows), "", *table_lines(rows)):
            self.say(text)

    def stop(self) -> None:
        """Do nothing, because printed lines stay."""


class RichView:
    """A live table, and a coloured table at the end."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._live: Live | None = None
        self._title = Text()

    def start(self, scenario: Scenario, metrics_url: str) -> None:
        """Show the start of the run, and take over the lower part of the terminal."""
        self._title = Text.assemble(
            ("chatvitals demo", "bold"), f" - {scenario.name}\n{scenario.about}\n", (metrics_url, "cyan")
        )
        self._live = Live(self._title, console=self._console, auto_refresh=False, transient=True)
        self._live.start()

    def show(self, moment: Snapshot) -> None:
        """Redraw."""
        if self._live is not None:
            shown = [*live_lines(moment), "", *LEGEND]
            self._live.update(Group(self._title, Text("\n".join(shown), no_wrap=True)), refresh=True)

    def say(self, sentence: str) -> None:
        """Print a sentence above the live table."""
        self._console.print(Text(sentence))

    def end(self, rows: list[Row], outcome: str) -> None:
        """Release the terminal, and print the outcome, the verdict and the table."""
        self.stop()
        agreed = all(row.agrees for row in rows)
        self._console.print(Text(outcome, style="bold"))
        self._console.print(Text(comparison.verdict(rows), style="bold green" if agreed else "bold red"))
        head, *lines = table_lines(rows, self._console.width)
        self._console.print(Text(head, style="bold", no_wrap=True))
        for text in lines:
            self._console.print(Text(text, style="bold red" if text.endswith("  NO") else "", no_wrap=True))

    def stop(self) -> None:
        """Release the terminal."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def line(moment: Snapshot) -> str:
    """Return the state as one line of text."""
    truth, reported = moment.truth, moment.reported
    said = (
        "nothing yet"
        if reported is None
        else f"{reported.opened:g} turns, {reported.answered:g} answered, {reported.waiting:g} waiting, "
        f"mean {comparison.seconds(reported.mean)}"
    )
    trouble = " [trouble]" if moment.trouble else ""
    rated = "" if moment.seen is None else f" | {_rated(moment.seen, moment.truth)}"
    return (
        f"{moment.elapsed:3.0f} s{trouble}  {moment.present} here, {truth.gave_up} gave up | customers: "
        f"{len(truth.turns)} turns, {len(truth.turns) - truth.unanswered} answered, {truth.unanswered} waiting, "
        f"mean {comparison.seconds(truth.mean)} | metrics: {said}{rated}"
    )


def table_lines(rows: list[Row], width: int = 80) -> list[str]:
    """Return the closing table as aligned text of at most `width` columns. A long list of ratings takes more lines."""
    cells = [_HEAD, *((row.name, row.measured, row.reported, row.allowed, _yes(row)) for row in rows)]
    widths = [max(len(cell[column]) for cell in cells) for column in range(len(_HEAD))]
    room = width - len(_GAP) * (len(_HEAD) - 1) - sum(widths) + widths[1] + widths[2]
    if widths[1] + widths[2] > room:
        widths[1] = min(widths[1], room // 2 - 1)  # the metrics name buckets, too
        widths[2] = min(widths[2], room - widths[1])
    made: list[str] = []
    for cell in cells:
        texts = (text_width.wrapped(text, columns) for text, columns in zip(cell, widths, strict=True))
        made.extend(
            _GAP.join(text.ljust(columns) for text, columns in zip(parts, widths, strict=True)).rstrip()
            for parts in zip_longest(*texts, fillvalue="")
        )
    return made


def live_lines(moment: Snapshot) -> list[str]:
    """Return the live view below its title: at most 20 lines of at most 60 columns, with its own legend."""
    truth, reported = moment.truth, moment.reported
    trouble = "  TROUBLE" if moment.trouble else ""
    made = [f"{moment.elapsed:.0f} s, {moment.present} customers here, {truth.gave_up} gave up{trouble}", ""]
    if reported is None:
        return [*made, "The first numbers come in a moment."]
    made.append(_LIVE.format("", "customers", "metrics"))
    for name, ours, theirs in (
        ("messages written", f"{truth.messages}", f"{reported.messages:g}"),
        ("turns answered", f"{len(truth.turns) - truth.unanswered}", f"{reported.answered:g}"),
        ("turns that wait now", f"{truth.unanswered}", f"{reported.waiting:g}"),
        ("mean wait", comparison.seconds(truth.mean), comparison.seconds(reported.mean)),
    ):
        made.append(_LIVE.format(name, ours, theirs))
    if moment.seen is not None:
        for track in (moment.seen.number, moment.seen.template):
            ours, theirs = ("".join(told[-1:]) or "-" for told in (track.given, track.reported))
            made.append(_LIVE.format(track.name, ours, theirs))
        made.append(_LIVE.format("customers who block us", f"{truth.blocked}", "not told"))
    made += ["", _LIVE.format("orders that reached", "customers", "metrics")]
    reached = ((step, truth.order.reached[step], reported.order.reached[step]) for step in order_flow.STEPS)
    made += [_LIVE.format(f"  {step}", ours, theirs) for step, ours, theirs in reached]
    return made


LEGEND = (
    "customers: measured on their phones.  metrics: what /metrics",
    "says, two seconds behind.  Ctrl-C: sentence and full table.",
)
_LIVE = "{:<24}{:>12}{:>12}"


def _rated(seen: Seen, truth: Truth) -> str:
    number, template = seen.number, seen.template
    ours, theirs = (
        f"rating {''.join(rating[-1:]) or '-'}, template {''.join(score[-1:]) or '-'}"
        for rating, score in ((number.given, template.given), (number.reported, template.reported))
    )
    return f"{ours}, blocks {truth.blocked} (metrics: {theirs})"


def _yes(row: Row) -> str:
    return "yes" if row.agrees else "NO"
