"""The benchmark over sockets: `python -m tests.benchmarks.sockets` prints latency and CPU as ratios to the bare bot.

Server and load each have a core of their own. Redis and the scraper have what the load leaves of its core, as if they
were elsewhere. A latency begins when its request is sent and ends when the kernel has the answer. The load sends late
where its own core is busy: the table says how late. Requests while the machine's host or another process had one of
the cores are left out, and a round that lost most of them is repeated. All subjects take turns in every round, and only
ratios within a round are reported. A machine with one core, or a busy one, gets no verdict. `--server gunicorn` runs
two workers. `--store-trouble` locks the SQLite file and stops the Redis while the load runs.
"""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager, nullcontext, suppress
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.benchmarks import lost_moments, socket_load, traffic
from tests.benchmarks.conditions import Others, missing
from tests.benchmarks.rounds import rotated
from tests.helpers import fleet, services

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[2]
BARE, EXPORTER = "bare", "exporter"
BUDGETS = {"p99": 1.15, "p99.9": 1.5}
CPU_BUDGETS = {"SQLite": 1.0, "memory": 0.8}
"""The most CPU per webhook, as a share of what `starlette_exporter` adds."""
_QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
_PACKAGES = ("redis", "starlette", "starlette_exporter", "uvicorn")
_WORKERS = 2  # of gunicorn
_LEAST_KEPT = 0.5  # share of the requests of a round that counts
_ATTEMPTS = 2  # rounds to begin for each that shall count
_SERVER_CORE, _LOAD_CORE = 0, 1


class Figures(NamedTuple):
    """What one subject showed in one round.

    Attributes:
        latency: Seconds from the start of a request to the arrival of its answer, by quantile.
        cpu: CPU seconds per webhook.
        late: Seconds by which the load itself started a request late, in 99 of 100 at most.
        kept: Share of the requests during which neither the host nor another process took a core away.

    """

    latency: dict[str, float]
    cpu: float
    late: float
    kept: float = 1.0


def measure(
    subjects: dict[str, str], options: argparse.Namespace, neighbours: Sequence[int]
) -> dict[str, list[Figures]]:
    """Return the figures of each subject, round by round. `subjects` gives the kind of bot by name.

    A round in which others had a core for most of a subject's requests is repeated, as long as the attempts last.
    """
    found: dict[str, list[Figures]] = {name: [] for name in subjects}
    amount = int(options.rate * options.seconds)
    for turn in range(_ATTEMPTS * options.rounds):
        seen = {
            name: _figures(subjects[name], turn, amount, options, neighbours) for name in rotated([*subjects], turn)
        }
        if min(each.kept for each in seen.values()) >= _LEAST_KEPT:
            for name, each in seen.items():
                found[name].append(each)
        if len(found[BARE]) == options.rounds:
            break
    return found


def _figures(kind: str, turn: int, amount: int, options: argparse.Namespace, neighbours: Sequence[int]) -> Figures:
    """Return what one subject shows in one round."""
    from tests.benchmarks.socket_bot import NUMBERS  # noqa: PLC0415 - after the check of the machine

    known = str(options.numbers if options.numbers > 1 else 0)
    with (
        served(kind, options.workers, further={NUMBERS: known}) as (port, process),
        _scraped(port, options.scrape_every),
    ):
        first = turn * 10 * amount
        warm = _requests(first, amount // 5, options.numbers)
        load = _requests(first + amount, amount, options.numbers)
        socket_load.run(port, warm, options.rate, turn)
        before = _cpu(process.pid)
        with trouble(kind) if options.store_trouble else nullcontext():
            seen = socket_load.run(port, load, options.rate, turn, neighbours)
        cpu = (_cpu(process.pid) - before) / len(load)
    latency = {each: _quantile(share, seen.answered) for each, share in _QUANTILES.items()}
    return Figures(latency, cpu, _quantile(0.99, seen.late), seen.kept)


def _quantile(share: float, values: list[float]) -> float:
    """Return the quantile, or NaN where others had a core during each request."""
    return nan if not values else sorted(values)[min(int(share * len(values)), len(values) - 1)]


@contextmanager
def trouble(store: str) -> Iterator[None]:
    """Lock the file of a SQLite store, or stop the server of a Redis store, until the block ends."""
    if store.startswith("sqlite:"):
        connection = sqlite3.connect(store.removeprefix("sqlite:///"), isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.close()
    elif store.startswith("redis:"):
        server = _redis_process(store)
        os.kill(server, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(server, signal.SIGCONT)
    else:
        yield


def _redis_process(url: str) -> int:
    import redis  # noqa: PLC0415 - after the check of the machine

    with redis.Redis.from_url(url.partition("?")[0]) as client:
        return int(client.info("server")["process_id"])


@contextmanager
def served(
    kind: str, workers: int, app: str = "tests.benchmarks.socket_bot:app", further: Mapping[str, str] | None = None
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run a bot on its core until the block ends.

    Args:
        kind: kind of the bot, see `socket_bot`.
        workers: number of gunicorn's workers. With 0, uvicorn runs it alone.
        app: another application.
        further: further variables of its environment.

    """
    from tests.benchmarks.socket_bot import KIND  # noqa: PLC0415 - after the check of the machine

    port = services.free_port()
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), "--log-level", "warning", "--no-access-log"]
    if workers:
        command = [sys.executable, "-m", "gunicorn", app, "-k", "uvicorn.workers.UvicornWorker", "-w", str(workers)]
        command += ["-b", f"127.0.0.1:{port}", "--log-level", "warning"]
    environ = {**os.environ, KIND: kind, **(further or {})}
    process = subprocess.Popen(command, cwd=ROOT, env=environ)
    os.sched_setaffinity(process.pid, {_SERVER_CORE})  # before it has started any thread or worker
    try:
        _wait(port)
        yield port, process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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
    return f"Others had a core: {counted} of {_ATTEMPTS * rounds} rounds count, so there is no verdict."


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


def _requests(first: int, amount: int, numbers: int) -> list[bytes]:
    """Return webhooks of conversations as bytes for a socket. Three in four are statuses."""
    begin = time.time() - (first + amount) / 100.0  # timestamps of the last minutes, as those of real webhooks
    found = traffic.conversations(first, amount // 4 + 1, 1000, 100.0, begin, numbers)
    deliveries = [each for each in found if isinstance(each, traffic.Delivery)][:amount]
    return [_request(each) for each in deliveries]


def _request(delivery: traffic.Delivery) -> bytes:
    head = b"".join(b"%s: %s\r\n" % pair for pair in delivery.scope["headers"])
    return b"POST /webhook HTTP/1.1\r\n" + head + b"\r\n" + delivery.body


def _cpu(pid: int) -> float:
    """Return the CPU seconds of a process and its children so far."""
    total = 0.0
    for each in [pid, *fleet.children(pid)]:
        with suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


@contextmanager
def _scraped(port: int, every: float) -> Iterator[None]:
    """Scrape a bot again and again until the block ends. The scraper has what the load leaves of its core."""
    if not every:
        yield
        return
    command = [sys.executable, "-m", "tests.benchmarks.scraper", f"http://127.0.0.1:{port}/metrics", str(every)]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        _give_leftovers(process.pid)
        yield
    finally:
        process.kill()
        process.wait()


def _give_leftovers(pid: int) -> None:
    """Give a process only what others leave of its core."""
    os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


def _wait(port: int) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/webhook", method="OPTIONS")
    for _ in range(200):
        try:
            urllib.request.urlopen(request, timeout=5)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the bot did not start")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.sockets", description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=800.0, metavar="N", help="webhooks a second (default: 800)")
    parser.add_argument("--seconds", type=float, default=20.0, metavar="S", help="length of a round (default: 20)")
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

    os.sched_setaffinity(0, {_LOAD_CORE})
    with tempfile.TemporaryDirectory(prefix="chatvitals-benchmark-") as name:
        folder = Path(name)
        with RedisServer(folder) as server:
            subjects = {BARE: BARE, EXPORTER: EXPORTER, "SQLite": f"sqlite:///{folder / 'benchmark.db'}"}
            subjects |= {"memory": "memory:", "Redis": server.fresh_url()}
            _give_leftovers(_redis_process(subjects["Redis"]))
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
