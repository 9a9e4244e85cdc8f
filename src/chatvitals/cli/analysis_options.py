"""Options and output of `compare`, `report` and `now`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from typing import TYPE_CHECKING

from chatvitals.cli import _common
from chatvitals.settings import SettingsError, ToolSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.analysis.document import Document
    from chatvitals.analysis.prometheus_api import PrometheusApi

LONGEST_SECONDS = 3600.0
_QUIET_SECONDS = 10.0  # between two lines of progress where there is no terminal


def add_source(parser: argparse.ArgumentParser, *, store: bool) -> None:
    """Add the options for the source of the numbers."""
    parser.add_argument("--prometheus", metavar="URL", help="address of Prometheus (default: CHATVITALS_PROMETHEUS)")
    if store:
        parser.add_argument("--store", metavar="URL", help="read a store instead (default: CHATVITALS_STORE)")
    parser.add_argument(
        "--timeout", type=_seconds, default=60.0, metavar="S", help="seconds for all queries (default: %(default)g)"
    )
    parser.add_argument("--tz", metavar="ZONE", help="time zone such as Europe/Rome (default: this machine's)")


def add_output(parser: argparse.ArgumentParser, *, markdown: bool = False) -> None:
    """Add the options for the output format."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print all numbers as JSON")
    form.add_argument("--csv", action="store_true", help="print the tables as CSV")
    if markdown:
        form.add_argument("--markdown", action="store_true", help="print Markdown for a chat")


def prometheus(options: argparse.Namespace) -> PrometheusApi | None:
    """Return the Prometheus of the options, or None where a store is to be read.

    Raises:
        WrongNameError: a variable has a value that is not allowed.

    """
    from chatvitals.analysis.errors import WrongNameError  # noqa: PLC0415 - only what a command needs
    from chatvitals.analysis.prometheus_api import PrometheusApi  # noqa: PLC0415 - as above

    try:
        settings = ToolSettings.load({}, os.environ)
    except SettingsError as error:
        raise WrongNameError(str(error)) from None
    url = options.prometheus
    if url is None and getattr(options, "store", None) is None:
        url = settings.prometheus
    if not url:
        return None
    token = settings.prometheus_token or None
    return PrometheusApi(url, token=token, seconds=options.timeout, progress=_Progress())


def needed_prometheus(options: argparse.Namespace) -> PrometheusApi:
    """Return the Prometheus of the options.

    Raises:
        MissingSourceError: no Prometheus is given.

    """
    from chatvitals.analysis.errors import MissingSourceError  # noqa: PLC0415

    found = prometheus(options)
    if found is None:
        raise MissingSourceError("this needs the history of a Prometheus: give --prometheus http://localhost:9090")
    return found


def refuse_unused(options: argparse.Namespace, allowed: dict[str, bool], of: str) -> None:
    """Refuse a given option that has no effect on the answer.

        refuse_unused(options, {"drop": subject == "drop"}, "this report")

    Args:
        options: the options, with None or False for an option that is not given.
        allowed: whether an option has an effect, by its name in `options`.
        of: the requested report, for the sentence.

    Raises:
        WrongNameError: such an option is given.

    """
    from chatvitals.analysis.errors import WrongNameError  # noqa: PLC0415

    spelled = {"start": "from", "end": "to"}
    for name, has_effect in allowed.items():
        if not has_effect and getattr(options, name) not in {None, False}:
            raise WrongNameError(f"--{spelled.get(name, name).replace('_', '-')} has no effect on {of}: leave it out")


def show(name: str, options: argparse.Namespace, answer: Callable[[], Document], about: str = "") -> int:
    """Print an answer and return the exit status.

    Args:
        name: the command, for errors.
        options: the options of the command.
        answer: function that creates the document. Its errors become sentences.
        about: the requested thing with its name, such as `the experiment greeting`. Where nothing can be read, nobody
            knows whether it exists, so that the sentence begins with it.

    Returns:
        0 for success, 1 for unreadable numbers, 2 for an invalid option, 3 for too little data.

    """
    from chatvitals.analysis import document  # noqa: PLC0415
    from chatvitals.analysis.errors import (  # noqa: PLC0415
        AnalysisError,
        MissingSourceError,
        SourceUnavailableError,
        printable,
    )

    try:
        made = answer()
    except AnalysisError as error:
        _clear()
        if about and isinstance(error, (MissingSourceError, SourceUnavailableError)):
            return _common.refused(name, f"{printable(about)} cannot be looked up: {error}", error.status)
        return _common.refused(name, str(error), error.status)
    _clear()
    if options.json:
        said = document.as_json(made)
    elif options.csv:
        said = document.as_csv(made).rstrip("\n")
    elif getattr(options, "markdown", False):
        said = document.markdown(made)
    else:
        said = document.text(made, min(shutil.get_terminal_size((100, 24)).columns, 120))
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(said.encode(encoding, "replace").decode(encoding) + "\n")
    return 0


class _Progress:
    """Progress of the queries, on standard error."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def __call__(self, queries: int, seconds: float) -> None:
        """Print the progress, on a terminal at once and otherwise now and then."""
        line = f"chatvitals: asking Prometheus, queries answered: {queries} in {seconds:.0f} s"
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{line}")
            sys.stderr.flush()
        elif time.monotonic() - self._told > _QUIET_SECONDS:
            self._told = time.monotonic()
            sys.stderr.write(f"{line}\n")


def _clear() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")


def _seconds(text: str) -> float:
    return number(text, LONGEST_SECONDS, f"seconds above 0 and up to {LONGEST_SECONDS:g}")


def days(text: str) -> float:
    """Return a number of days, at most 90."""
    return number(text, 90.0, "days above 0 and up to 90")


def number(text: str, most: float, what: str) -> float:
    """Return a number above 0 and up to `most`.

    Raises:
        ArgumentTypeError: the text is not such a number.

    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= most:
        raise argparse.ArgumentTypeError(f"must be {what}, not {text!r}")
    return value
