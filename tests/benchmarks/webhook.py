"""The benchmark of tests/README.md: `python -m tests.benchmarks.webhook` prints its table, in about a minute.

Figures are differences to a bare app in interleaved rounds of one run; on a busy machine they are worse than they are.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.conditions import Others, missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PACKAGES = ("starlette", "starlette_exporter", "opentelemetry.sdk")
_FLAT = 1.25  # a hundred times the contacts may cost this much more per event: deeper trees, colder caches


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    rounds: int = 20
    each: int = 60  # webhooks of a round, 20 at once
    load_rounds: int = 5
    load_each: int = 1600  # messages of a round, each with three statuses
    scrapes: int = 20
    lines: int = 4000
    live: int = 5000  # contacts in memory
    contacts: tuple[int, ...] = (1_000, 100_000)
    messages: int = 4000


TINY = Scale(rounds=1, each=8, load_rounds=1, load_each=40, scrapes=1, lines=300, live=50, contacts=(20, 40),
             messages=40)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `value` and `budget` are in `unit`, a budget of None asks for nothing."""

    what: str
    value: float
    unit: str
    budget: float | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """Whether the budget is met."""
        return "" if self.budget is None else "met" if self.value <= self.budget else "**budget not met**"


def measure(scale: Scale) -> Iterator[Row]:
    """Yield the lines of the table as they are measured."""
    with tempfile.TemporaryDirectory(prefix="chatvitals-benchmark-") as name:
        folder = Path(name)
        yield from _requests(folder, scale)
        yield from _stores(folder, scale)


def _requests(folder: Path, scale: Scale) -> Iterator[Row]:
    from tests.benchmarks import apps, requests, tracing  # noqa: PLC0415 - after the check of the machine

    found, slowest = requests.webhook(folder, scale.rounds, scale.each)
    theirs = found[apps.EXPORTER].median
    for name in (apps.SQLITE, apps.MEMORY):
        ours = found[name]
        yield Row(f"added to a webhook, seen by the bot: {name}", ours.median, "µs", None, f"p95 {ours.p95:.1f} µs")
        if name == apps.SQLITE:
            yield Row(
                f"added to a webhook, seen by the bot: {name} ÷ {apps.EXPORTER}",
                ours.median / theirs,
                "",
                0.2,
                f"it adds {theirs:.1f} µs",
            )
    for name in (apps.EXPORTER, apps.SQLITE, apps.MEMORY):
        yield Row(f"p99 of webhooks less the bare app's: {name}", slowest[name], "µs")
    load = requests.cpu(folder, scale.load_rounds, scale.load_each)
    theirs = load[apps.EXPORTER].median
    for name, budget in ((apps.SQLITE, 1.0), (apps.MEMORY, 0.8)):
        yield Row(f"all CPU per webhook at full load, commits included: {name}", load[name].median, "µs")
        note = f"it adds {theirs:.1f} µs"
        yield Row(
            f"all CPU per webhook at full load: {name} ÷ {apps.EXPORTER}", load[name].median / theirs, "", budget, note
        )
    other = requests.other(folder, 2 * scale.rounds, 5 * scale.each)
    yield Row("added to a request that is not the webhook", other.median, "µs", 0.5, f"p95 {other.p95:.2f} µs")
    untraced = tracing.without_provider(scale.rounds, scale.each)
    note = f"it adds {untraced.added:.2f} µs"
    yield Row("a webhook without a tracer provider ÷ one without the tracing code", untraced.ratio, "", 1.05, note)
    yield Row("CPU of a push over OTLP ÷ that of a scrape of the same", tracing.push(10, scale.load_rounds), "", 1.5)


def _stores(folder: Path, scale: Scale) -> Iterator[Row]:
    from tests.benchmarks import apps, stores  # noqa: PLC0415 - as above

    stall = stores.scrape(folder, scale.scrapes, scale.lines)
    note = f"worst of {scale.scrapes}: {stall.worst:.1f} ms, without a scrape {stall.idle:.1f} ms"
    yield Row(f"longest event-loop stall in a scrape of {stall.lines:,} lines", stall.usual, "ms", 10, note)
    yield Row("memory per live contact: memory store", stores.bytes_per_contact(scale.live), "B", 600)
    few, *more = scale.contacts
    for name in (apps.SQLITE, apps.MEMORY):
        base = stores.event(folder, name, few, scale.messages)
        yield Row(f"CPU per event, {few:,} contacts known: {name}", base, "µs")
        for contacts in more:
            cost = stores.event(folder, name, contacts, scale.messages)
            yield Row(f"… {contacts:,} contacts", cost, "µs", _FLAT * base, f"{cost / base:.2f} times")


def markdown(rows: Sequence[Row], *, verdict: bool = True) -> str:
    """Return the table as it stands in tests/README.md: ratios first, because they depend least on the machine.

    Args:
        rows: the measurements.
        verdict: whether to say which budgets are met. On a busy machine there is no verdict.

    """
    lines = ["| what | measured | budget | verdict | |", "|---|---|---|---|---|"]
    for row in sorted(rows, key=lambda row: row.unit != ""):
        budget = "" if row.budget is None else _quantity(row.budget, row.unit)
        said = row.verdict if verdict else ""
        lines.append(f"| {row.what} | {_quantity(row.value, row.unit)} | {budget} | {said} | {row.note} |")
    return "\n".join(lines)


def _quantity(value: float, unit: str) -> str:
    digits = 0 if value >= 100 or value == int(value) else 1 if value >= 1 else 2
    return f"{value:.{digits}f} {unit}".rstrip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. Exit status 2 where the machine lacks something."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.webhook", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead of a Markdown table")
    parser.add_argument("--million", action="store_true", help="also measure with 1,000,000 contacts (a minute more)")
    parser.add_argument("--tiny", action="store_true", help="numbers without meaning, to see that it works")
    options = parser.parse_args(arguments)
    scale = TINY if options.tiny else Scale(contacts=(1_000, 100_000, 1_000_000)) if options.million else Scale()
    lacking = missing(_PACKAGES)
    if lacking:
        print(lacking, file=sys.stderr)  # noqa: T201 - a command prints
        return 2
    others = Others()
    rows = list(measure(scale))
    complaint = others.complaint()
    if options.json:
        verdicts = [{"met": None if complaint else row.budget is None or row.value <= row.budget} for row in rows]
        print(json.dumps([asdict(row) | verdict for row, verdict in zip(rows, verdicts, strict=True)]))  # noqa: T201
    else:
        print(markdown(rows, verdict=not complaint))  # noqa: T201
        if complaint:
            print(f"\n{complaint}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
