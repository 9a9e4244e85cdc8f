"""The benchmark over sockets: `python -m tests.benchmarks.sockets` prints latency and CPU as ratios to the bare bot.

Server and load each have a core of their own. Redis and the scraper have what the load leaves of its core, as if they
were elsewhere. A latency begins when its request is sent and ends when the kernel has the answer. The load sends late
where its own core is busy: the table says how late. In a round, all subjects run side by side and get the load in
turns of a second, and only ratios within a round are reported. Requests while the machine's host or another process had
one of the cores are left out, and a subject that lost most of them gets further turns. A machine with one core, or a
busy one, gets no verdict. `--server gunicorn` runs two workers. `--store-trouble` locks the SQLite file and stops the
Redis while the load runs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.benchmarks import lost_moments, socket_load, socket_servers, traffic
from tests.benchmarks.conditions import Others, missing
from tests.benchmarks.rounds import rotated

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

BARE, EXPORTER = "bare", "exporter"
BUDGETS = {"p99": 1.15, "p99.9": 1.5}
CPU_BUDGETS = {"SQLite": 1.0, "memory": 0.8}
"""The most CPU per webhook, as a share of what `starlette_exporter` adds."""
_QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
_PACKAGES = ("redis", "starlette", "starlette_exporter", "uvicorn")
_WORKERS = 2  # of gunicorn
_TURN = 1.0  # seconds of load
_SETTLED = 0.5  # seconds in which a bot commits what came last, before another has its turn
_SCRAPED_AFTER = 0.3  # seconds
_LEAST_KEPT = 0.5  # share of the requests that a round has without disturbance
_MOST_TURNS = 2  # times as many as a round without disturbance has
_FAR_APART = 1000  # turns; no two requests have the same message id


class Figures(NamedTuple):
    """What one subject showed in one round.

    Attributes:
        latency: Seconds from the start of a request to the arrival of its answer, by quantile.
        cpu: CPU seconds per webhook.
        late: Seconds by which the load itself started a request late, in 99 of 100 at most.
        kept: Share of all requests that count.

    """

    latency: dict[str, float]
    cpu: float
    late: float
    kept: float = 1.0


class _Turn(NamedTuple):
    """What one subject showed in a second of load."""

    seen: socket_load.Latencies
    cpu: float


class _Subject:
    """A bot that runs for one round.

    Args:
        port: its port.
        pid: its process.
        serial: number of its first turn. No other turn of its store has one of the following.
        options: those of the command.
        neighbours: processes that may take a core.
        scraper: process that scrapes it.

    """

    def __init__(
        self,
        port: int,
        pid: int,
        serial: int,
        options: argparse.Namespace,
        neighbours: Sequence[int],
        scraper: subprocess.Popen[bytes] | None,
    ) -> None:
        self._port = port
        self._pid = pid
        self._serial = serial
        self._options = options
        self._neighbours = neighbours
        self._scraper = scraper
        self._turns: list[_Turn] = []

    def turn(self, number: int) -> None:
        """Give it a second of load."""
        if self._scraper is not None and number * _TURN % self._options.scrape_every < _TURN:
            socket_servers.scrape(self._scraper, _SCRAPED_AFTER)
        self._turns.append(self.load())

    @property
    def has_enough(self) -> bool:
        """Whether enough requests were not disturbed, for their figures to be more than chance."""
        kept = sum(len(each.seen.answered) for each in self._turns)
        planned: float = self._options.rate * self._options.seconds
        return kept >= _LEAST_KEPT * planned

    def load(self) -> _Turn:
        """Give it a second of load, and wait until it has committed everything."""
        amount = int(self._options.rate * _TURN)
        requests = traffic.requests(2 * self._serial * amount, amount, self._options.numbers)
        before = socket_servers.cpu(self._pid)
        seen = socket_load.run(self._port, requests, self._options.rate, self._serial, self._neighbours)
        time.sleep(_SETTLED)
        self._serial += 1
        return _Turn(seen, (socket_servers.cpu(self._pid) - before) / amount)

    def figures(self) -> Figures | None:
        """Return what it showed. None where others had a core for too much of the time."""
        if not self.has_enough:
            return None
        answered = [seconds for each in self._turns for seconds in each.seen.answered]
        late = [seconds for each in self._turns for seconds in each.seen.late]
        latency = {name: _quantile(share, answered) for name, share in _QUANTILES.items()}
        kept = statistics.mean(each.seen.kept for each in self._turns)
        return Figures(latency, statistics.mean(each.cpu for each in self._turns), _quantile(0.99, late), kept)


def _quantile(share: float, values: list[float]) -> float:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def measure(
    subjects: dict[str, str], options: argparse.Namespace, neighbours: Sequence[int]
) -> dict[str, list[Figures]]:
    """Return the figures of each subject in the rounds that count. `subjects` gives the kind of bot by name."""
    found: dict[str, list[Figures]] = {name: [] for name in subjects}
    for number in range(options.rounds):
        seen = _round(subjects, number, options, neighbours)
        if all(seen.values()):
            for name, each in seen.items():
                found[name] += [each] if each else []
    return found


def _round(
    subjects: dict[str, str], number: int, options: argparse.Namespace, neighbours: Sequence[int]
) -> dict[str, Figures | None]:
    """Return what each subject shows in one round. None where others had a core."""
    turns = max(round(options.seconds / _TURN), 1)
    with ExitStack() as stack:
        running = {
            name: _start(kind, number, options, neighbours, stack)
            for name, kind in rotated([*subjects.items()], number)
        }
        for each in running.values():
            each.load()
        if options.store_trouble:
            for kind in subjects.values():
                stack.enter_context(socket_servers.trouble(kind))
        for turn in range(_MOST_TURNS * turns):
            for each in rotated([*running.values()], turn):
                if turn < turns or not each.has_enough:
                    each.turn(turn)
        return {name: running[name].figures() for name in subjects}


def _start(
    kind: str, number: int, options: argparse.Namespace, neighbours: Sequence[int], stack: ExitStack
) -> _Subject:
    from tests.benchmarks.socket_bot import NUMBERS  # noqa: PLC0415 - after the check of the machine

    known = str(options.numbers if options.numbers > 1 else 0)
    port, pid = stack.enter_context(socket_servers.served(kind, options.workers, further={NUMBERS: known}))
    scraper = stack.enter_context(socket_servers.scraper(port)) if options.scrape_every else None
    return _Subject(port, pid, number * _FAR_APART, options, neighbours, scraper)


def markdown(found: dict[str, list[Figures]], *, verdict: bool) -> str:
    """Return the table: ratios to the bare bot, the median over rounds."""
    columns = [*_QUANTILES, "CPU per webhook", "load late, p99", ""]
    lines = [f"| subject | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
    for name, rounds in found.items():
        late = f"{1000 * statistics.median(each.late for each in rounds):.1f} ms"
        if name == BARE:
            usual = [f"{1000 * statistics.median(r.latency[q] for r in rounds):.1f} ms" for q in _QUANTILES]
            cpu = 1e6 * statistics.median(each.cpu for each in rounds)
            lines.append(f"| {name} | {' | '.join(usual)} | {cpu:.0f} µs | {late} | |")
            continue
        ratios = {q: _ratio(rounds, found[BARE], q) for q in _QUANTILES}
        shown = " | ".join(f"{ratio:.2f} x" for ratio in ratios.values())
        added = 1e6 * _added(rounds, found[BARE])
        note = "" if name == EXPORTER else _note(name, ratios, found) if verdict else "no verdict"
        lines.append(f"| {name} | {shown} | +{added:.0f} µs | {late} | {note} |")
    left_out = 1 - statistics.mean(each.kept for rounds in found.values() for each in rounds)
    if left_out:
        lines += [
            "",
            f"Left out, because others had a core: {100 * left_out:.0f} % of the requests.",
        ]
    return "\n".join(lines)


def _lack(found: dict[str, list[Figures]], rounds: int) -> str:
    """Return a sentence where too few rounds count for a verdict, else nothing."""
    counted = len(found[BARE])
    if counted >= rounds:
        return ""
    return f"Others had a core: {counted} of {rounds} rounds count, so there is no verdict."


def _note(name: str, ratios: dict[str, float], found: dict[str, list[Figures]]) -> str:
    missed = [f"{q} above {budget:g}" for q, budget in BUDGETS.items() if ratios[q] > budget]
    if EXPORTER in found and name in CPU_BUDGETS:
        share = _added(found[name], found[BARE]) / _added(found[EXPORTER], found[BARE])
        if share > CPU_BUDGETS[name]:
            missed.append(f"CPU {share:.2f} x the exporter's, above {CPU_BUDGETS[name]:g}")
    return "budget not met: " + ", ".join(missed) if missed else "met"


def _added(rounds: Sequence[Figures], bare: Sequence[Figures]) -> float:
    return statistics.median(a.cpu - b.cpu for a, b in zip(rounds, bare, strict=True))


def _ratio(rounds: Sequence[Figures], bare: Sequence[Figures], quantile: str) -> float:
    return statistics.median(a.latency[quantile] / b.latency[quantile] for a, b in zip(rounds, bare, strict=True))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.sockets", description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=800.0, metavar="N", help="webhooks a second (default: 800)")
    parser.add_argument(
        "--seconds", type=float, default=20.0, metavar="S", help="load of each bot in a round (default: 20)"
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how many rounds (default: 3)")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="run gunicorn with this many workers")
    parser.add_argument("--numbers", type=int, default=1, metavar="N",
                        help="business numbers (default: 1). Several are known to the store for months")  # fmt: skip
    parser.add_argument("--store-trouble", action="store_true", help="lock or stop the store while the load runs")
    parser.add_argument("--scrape-every", type=float, default=0.0, metavar="S", help="scrape /metrics this often")
    parser.add_argument("--server", choices=["uvicorn", "gunicorn"], default="uvicorn", help="default: %(default)s")
    options = parser.parse_args(arguments)
    if options.server == "gunicorn" and not options.workers:
        options.workers = _WORKERS
    lacking = missing([*_PACKAGES, *(["gunicorn"] if options.workers else [])], ["redis-server"])
    if lacking:
        print(lacking, file=sys.stderr)  # noqa: T201
        return 2
    neighbours = lost_moments.neighbours()
    others = Others(host=False)
    from tests.helpers.redis_servers import RedisServer  # noqa: PLC0415 - after the check of the machine

    os.sched_setaffinity(0, {socket_servers.LOAD_CORE})
    with tempfile.TemporaryDirectory(prefix="chatvitals-benchmark-") as name:
        folder = Path(name)
        with RedisServer(folder) as server, socket_servers.awake():
            subjects = {BARE: BARE, EXPORTER: EXPORTER, "SQLite": f"sqlite:///{folder / 'benchmark.db'}"}
            subjects |= {"memory": "memory:", "Redis": server.fresh_url()}
            socket_servers.give_leftovers(socket_servers.redis_process(subjects["Redis"]))
            if options.workers:
                del subjects["memory"]  # each worker would have a store of its own
            try:
                found = measure(subjects, options, neighbours)
            except RuntimeError as error:
                print(f"There is no verdict: {error}.", file=sys.stderr)  # noqa: T201
                return 2
    complaint = others.complaint() or _lack(found, options.rounds)
    if not found[BARE]:
        print(complaint, file=sys.stderr)  # noqa: T201
        return 2
    print(markdown(found, verdict=not complaint))  # noqa: T201 - a command prints
    if complaint:
        print(f"\n{complaint}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
