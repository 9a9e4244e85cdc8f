"""What a terminal shows: a table that moves, or plain lines where it cannot; at the end both sides, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from chatvitals.demo import comparison

if TYPE_CHECKING:
    from chatvitals.demo.comparison import Reported, Row
    from chatvitals.demo.ground_truth import Truth
    from chatvitals.demo.rating_timeline import Seen
    from chatvitals.demo.scenarios import Scenario

_PLAIN_EVERY_SECONDS = 2.0
_HEAD = ("", "customers", "metrics", "allowed", "agree")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What there is to see now."""

    elapsed: float
    present: int
    truth: Truth
    reported: Reported | None
    """The latest scrape; None while there is none."""
    trouble: bool
    seen: Seen | None = None
    """The ratings so far; None where nobody rates."""


class View(Protocol):
    """Where the demo shows itself."""

    def start(self, scenario: Scenario, metrics_url: str) -> None:
        """Say what begins."""

    def show(self, moment: Snapshot) -> None:
        """Show what there is to see now; called a few times per second."""

    def say(self, sentence: str) -> None:
        """Add a sentence."""

    def end(self, rows: list[Row]) -> None:
        """Show the closing table and the verdict."""


class PlainView:
    """Lines of text, for logs and pipes."""

    def __init__(self) -> None:
        self._next = 0.0

    def start(self, scenario: Scenario, metrics_url: str) -> None:
        """Say what begins."""
        self.say(f"chatvitals demo, scenario {scenario.name}: {scenario.about}.")
        self.say(f"Metrics: {metrics_url} - Ctrl-C ends it with a table of both sides.")

    def show(self, moment: Snapshot) -> None:
        """Print a line every two seconds."""
        if moment.elapsed < self._next:
            return
        self._next += _PLAIN_EVERY_SECONDS
        self.say(line(moment))

    def say(self, sentence: str) -> None:
        """Print a sentence at once, so that a pipe shows it in time."""
        print(sentence, flush=True)  # noqa: T201 - this is what a demo is for

    def end(self, rows: list[Row]) -> None:
        """Print the closing table and the verdict."""
        self.say("")
        for text in table_lines(rows):
            self.say(text)
        self.say(comparison.verdict(rows))


class RichView:
    """A table that moves, and the closing one in colours."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._live: Live | None = None
        self._title = Text()

    def start(self, scenario: Scenario, metrics_url: str) -> None:
        """Say what begins, and take over the lower part of the terminal."""
        self._title = Text.assemble(
            ("chatvitals demo", "bold"), f" - {scenario.name}: {scenario.about}\n", (metrics_url, "cyan")
        )
        self._live = Live(self._title, console=self._console, auto_refresh=False, transient=True)
        self._live.start()

    def show(self, moment: Snapshot) -> None:
        """Redraw."""
        if self._live is not None:
            self._live.update(Group(self._title, *_drawn(moment)), refresh=True)

    def say(self, sentence: str) -> None:
        """Print a sentence above whatever moves."""
        self._console.print(Text(sentence))

    def end(self, rows: list[Row]) -> None:
        """Give the terminal back, with the closing table and the verdict on it."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._console.print(self._title)
        table = Table(*_HEAD)
        for row in rows:
            style = None if row.agrees else "bold red"
            table.add_row(row.name, row.measured, row.reported, row.allowed, _yes(row), style=style)
        self._console.print(table)
        agreed = all(row.agrees for row in rows)
        self._console.print(Text(comparison.verdict(rows), style="bold green" if agreed else "bold red"))


def line(moment: Snapshot) -> str:
    """Return a moment as one line of text."""
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


def table_lines(rows: list[Row]) -> list[str]:
    """Return the closing table as aligned text."""
    cells = [_HEAD, *((row.name, row.measured, row.reported, row.allowed, _yes(row)) for row in rows)]
    widths = [max(len(cell[column]) for cell in cells) for column in range(len(_HEAD))]
    return ["  ".join(text.ljust(width) for text, width in zip(cell, widths, strict=True)).rstrip() for cell in cells]


def _drawn(moment: Snapshot) -> tuple[Table, Text]:
    table = Table(*_HEAD[:3])
    if moment.reported is not None:
        rows = comparison.compare(moment.truth, moment.reported)
        if moment.seen is not None:  # ratings in place of steps: both do not fit in 24 lines
            rows = [row for row in rows if not row.name.startswith("order: ")] + moment.seen.rows(moment.truth)
        for row in rows:
            table.add_row(row.name, row.measured, row.reported)
    trouble = (" - trouble", "bold red") if moment.trouble else ""
    below = Text.assemble(
        f"{moment.elapsed:.0f} s, {moment.present} customers here, {moment.truth.gave_up} gave up",
        trouble,
        ("\nMetrics follow two seconds behind: the settling window. Ctrl-C ends with a table of both.", "dim"),
    )
    return table, below


def _rated(seen: Seen, truth: Truth) -> str:
    number, template = seen.number, seen.template
    ours, theirs = (
        f"rating {''.join(rating[-1:]) or '-'}, template {''.join(score[-1:]) or '-'}"
        for rating, score in ((number.given, template.given), (number.reported, template.reported))
    )
    return f"{ours}, {truth.blocked} blocks (metrics: {theirs})"


def _yes(row: Row) -> str:
    return "yes" if row.agrees else "NO"
