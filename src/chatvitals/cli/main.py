"""The command `chatvitals`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from chatvitals._version import __version__
from chatvitals.cli import compare, now, report, store
from chatvitals.cli import doctor_options as doctor_words

_STORIES = ("quality-drop", "calm")
_SCENARIOS = ("calm", "slow", "outage", "quality-drop")


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; return its exit status: 0 for success, 2 for wrong words, else as the command says."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        status: int = options.run(options)
    except KeyboardInterrupt:
        sys.stderr.write("\nchatvitals: interrupted\n")
        return 130
    except BrokenPipeError:  # the reader of a pipe has seen enough
        sys.stderr.close()
        return 0
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chatvitals",
        description="Vital signs for WhatsApp bots: how long customers wait, in Prometheus.",
    )
    parser.add_argument("--version", action="version", version=f"chatvitals {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    demo = commands.add_parser(
        "demo",
        help="run a bot with simulated customers and watch its metrics",
        description="Run a bot, its customers and a stand-in for WhatsApp on this machine. At the end, compare what "
        "customers measured with what the metrics say; exit status 1 when they disagree.",
    )
    demo.add_argument("--duration", type=_seconds, metavar="S", help="seconds to run (default: until Ctrl-C)")
    demo.add_argument("--scenario", choices=_SCENARIOS, default="calm", help="what happens (default: %(default)s)")
    demo.add_argument("--plain", action="store_true", help="print plain lines instead of a live view")
    demo.add_argument("--port", type=_port, default=9464, metavar="N", help="port of /metrics (default: %(default)s)")
    demo.set_defaults(run=_demo)

    replay = commands.add_parser(
        "replay",
        help="measure a log of webhooks",
        description="Feed a log of raw webhook bodies through the same rules, with the log's own clock. Each line is a "
        'JSON object: {"received": 1795392000.2, "body": "…" or "base64": "…", "headers": {…}}.',
    )
    replay.add_argument("file", type=Path, metavar="FILE.jsonl", help="the log; - reads standard input")
    replay.add_argument(
        "--openmetrics", type=Path, metavar="OUT", help="write all metrics over time, for backfilling Prometheus"
    )
    replay.add_argument(
        "--every",
        type=_seconds,
        default=60.0,
        metavar="S",
        help="seconds between samples in OUT (default: %(default)g)",
    )
    replay.set_defaults(run=_replay)

    simulate = commands.add_parser(
        "simulate",
        help="write a month of history for Prometheus",
        description="Simulate customers, bot and WhatsApp on a virtual clock, through the real rules, and write all "
        "metrics over time as OpenMetrics, for promtool to backfill: about 70 MB a day, and as much in the folder for "
        "temporary files until it ends.",
    )
    simulate.add_argument("--openmetrics", type=Path, required=True, metavar="FILE", help="the file to write")
    simulate.add_argument(
        "--scenario", choices=_STORIES, default=_STORIES[0], help="what happens (default: %(default)s)"
    )
    simulate.add_argument("--days", type=_days, default=30.0, metavar="N", help="how long (default: %(default)g)")
    simulate.add_argument(
        "--seed", type=int, default=1, metavar="N", help="the same one, the same history (default: 1)"
    )
    simulate.add_argument(
        "--every", type=_seconds, default=240.0, metavar="S", help="seconds between samples (default: %(default)g)"
    )
    simulate.add_argument(
        "--effect",
        type=_effect,
        default=0.0,
        metavar="P",
        help="points by which a variant of the experiment is better (default: 0, no difference)",
    )
    simulate.set_defaults(run=_simulate)

    assets = commands.add_parser(
        "assets",
        help="write dashboards and alert rules for Grafana and Prometheus",
        description="Write dashboards, recording and alerting rules with their tests and runbook, examples for "
        "Alertmanager and provisioning, and a compose file, for a service level objective.",
    )
    assets.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to write to")
    assets.add_argument(
        "--slo", type=float, default=0.95, metavar="SHARE", help="share of turns answered in time (default: 0.95)"
    )
    assets.add_argument(
        "--threshold", type=int, default=60, metavar="S", help="in time is within 10, 60, 300 or 3600 s (default: 60)"
    )
    assets.add_argument("--force", action="store_true", help="overwrite files that differ")
    assets.set_defaults(run=_assets)

    journeys = commands.add_parser(
        "journeys",
        help="show how far customers get",
        description="Show each journey as a funnel: runs that reached a step, their share of the first one, drop-off "
        "(runs abandoned there, of the ended ones that reached it), median time in the step, and runs that are open or "
        "stalled there now. Counts are since the store was begun.",
    )
    source = journeys.add_mutually_exclusive_group()
    source.add_argument("--metrics", metavar="URL", help="read a bot's metrics, such as http://127.0.0.1:8000/metrics")
    source.add_argument("--store", metavar="URL", help="read a store's file (default: CHATVITALS_STORE)")
    journeys.add_argument(
        "--token", metavar="T", help="bearer token of the metrics (default: CHATVITALS_METRICS_TOKEN)"
    )
    journeys.add_argument("--number", metavar="N", help="the phone_number_id to show (default: all, added up)")
    journeys.add_argument("--journey", metavar="NAME", help="the journey to show (default: all)")
    journeys.set_defaults(run=_journeys)

    http_server = commands.add_parser(
        "exporter",
        help="serve a store's numbers on a port of their own",
        description="Serve /metrics from a store, for one target per store whatever the number of workers and hosts. "
        "Other settings are CHATVITALS_* variables, best the bot's.",
    )
    http_server.add_argument(
        "--store", required=True, metavar="URL", help="the bot's store, such as sqlite:////data/v.db"
    )
    http_server.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    http_server.add_argument("--port", type=_port, default=9464, metavar="N", help="port (default: %(default)s)")
    http_server.add_argument("--token", metavar="T", help="bearer token to ask for (default: CHATVITALS_METRICS_TOKEN)")
    http_server.add_argument(
        "--otlp", action="store_true", help="push to OTEL_EXPORTER_OTLP_ENDPOINT as well (default: CHATVITALS_OTLP)"
    )
    http_server.set_defaults(run=_exporter)

    doctor_words.add_command(commands)
    compare.add_command(commands)
    report.add_command(commands)
    now.add_command(commands)
    store.add_commands(commands)
    return parser


def _demo(options: argparse.Namespace) -> int:
    from chatvitals.cli import demo  # noqa: PLC0415 - each command imports only what it needs

    return demo.run(options.duration, options.scenario, plain=options.plain, port=options.port)


def _replay(options: argparse.Namespace) -> int:
    from chatvitals.cli import replay  # noqa: PLC0415

    return replay.run(options.file, options.openmetrics, every=options.every)


def _simulate(options: argparse.Namespace) -> int:
    from chatvitals.cli import simulate  # noqa: PLC0415

    return simulate.run(
        options.openmetrics,
        scenario=options.scenario,
        days=options.days,
        seed=options.seed,
        every=options.every,
        effect=options.effect / 100,
    )


def _assets(options: argparse.Namespace) -> int:
    from chatvitals.cli import assets as command  # noqa: PLC0415

    return command.run(options.out, share=options.slo, threshold=options.threshold, force=options.force)


def _journeys(options: argparse.Namespace) -> int:
    from chatvitals.cli import journeys as funnel  # noqa: PLC0415

    return funnel.run(options.metrics, options.store, options.token, options.number, options.journey)


def _exporter(options: argparse.Namespace) -> int:
    from chatvitals.exporters import http_server  # noqa: PLC0415

    return http_server.run(options.store, options.host, options.port, options.token, otlp=options.otlp)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, not {text!r}")
    return value


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if not 0.0 < days <= 366.0:
        raise argparse.ArgumentTypeError(f"must be a number of days above 0 and up to 366, not {text!r}")
    return days


def _effect(text: str) -> float:
    try:
        points = float(text)
    except ValueError:
        points = -1.0
    if not 0.0 <= points <= 40.0:
        raise argparse.ArgumentTypeError(f"must be points from 0 to 40, not {text!r}")
    return points


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"must be a port from 0 (any free one) to 65535, not {text!r}")
    return int(text)
