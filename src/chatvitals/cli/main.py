"""The command `chatvitals`. It imports only the module of the requested command."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

from chatvitals._version import __version__
from chatvitals.cli import _common
from chatvitals.cli._parser import CommandParser
from chatvitals.settings import misspelt

if TYPE_CHECKING:
    import argparse

COMMANDS = {
    "demo": "run a bot with simulated customers and watch its metrics",
    "doctor": "check the set-up, and show how to correct it",
    "exporter": "serve the metrics of a store over HTTP",
    "assets": "write dashboards and alert rules for Grafana and Prometheus",
    "journeys": "show how far customers get",
    "now": "show the current situation and the most useful things to do",
    "compare": "compare variants, periods, days, versions or numbers",
    "report": "report on a fallen rating, unanswered customers, templates or a journey",
    "replay": "compute metrics from a log of webhooks",
    "simulate": "write a month of history for Prometheus",
    "store": "inspect, compact, export, copy or migrate a store, or forget a person",
}
"""The summary of each command. The module of the same name has `configure(parser)`."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command line and return its exit status: 0 for success, 2 for invalid arguments, else the command's own.

    Output that cannot be written, such as on a full disk, ends with a sentence and the status 1.

    main(["replay", "webhooks.jsonl"])

    """
    words = sys.argv[1:] if arguments is None else arguments
    _common.prepare_output()
    try:
        try:
            if not words:
                _parser(words).print_help(sys.stderr)
                return _common.WRONG
            options = _parser(words).parse_args(words)
            if words[0] != "doctor":  # which has a line of its own about them
                sys.stderr.writelines(f"chatvitals {words[0]}: {sentence}\n" for sentence in misspelt.sentences())
            status: int = options.run(options)
        finally:
            sys.stdout.flush()  # at the interpreter's end, an error would be no sentence
    except KeyboardInterrupt:
        sys.stderr.write("\nchatvitals: interrupted\n")
        return _common.INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe has closed it
        _common.discard_output()
        return _common.OK
    except OSError as error:
        _common.discard_output()
        return _common.refused(words[0], _common.reason(error), _common.FAILED)
    return status


def _parser(words: list[str]) -> argparse.ArgumentParser:
    """Return the parser with the options of the command in `words`. The import of the command may take a second."""
    parser = CommandParser(
        prog="chatvitals",
        description="Vital signs for WhatsApp bots: how long customers wait, in Prometheus.",
    )
    parser.add_argument("--version", action="version", version=f"chatvitals {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary)
        if words and words[0] == name:
            importlib.import_module(f"chatvitals.cli.{name}").configure(command)
    return parser
