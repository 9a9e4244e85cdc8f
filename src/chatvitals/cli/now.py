"""`chatvitals now`: show rating, waiting customers, alerts, and the most useful things to do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chatvitals.cli import analysis_options

if TYPE_CHECKING:
    import argparse

    from chatvitals.analysis.document import Document


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Show the rating, waiting customers and firing alerts. Then show at most five useful things to do today, "
        "ranked by their cost in customers. The last lines name the data that is not measured. "
        "Exit status: 0 shown, 1 not readable, 2 invalid arguments, 3 too little data."
    )
    analysis_options.add_source(parser, store=True)
    analysis_options.add_output(parser, markdown=True)
    parser.add_argument("--at", metavar="TIME", help="show the situation at this time (default: now)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the situation and return the exit status."""
    return analysis_options.show("now", options, lambda: _answer(options))


def _answer(options: argparse.Namespace) -> Document:
    from chatvitals.analysis import now, now_document, sources  # noqa: PLC0415 - each command imports only what it needs
    from chatvitals.analysis.errors import WrongNameError  # noqa: PLC0415
    from chatvitals.analysis.periods import Calendar  # noqa: PLC0415

    clock = time.time()
    calendar = Calendar(options.tz, clock)
    api = analysis_options.prometheus(options)
    if api is None:
        if options.at is not None:
            raise WrongNameError("--at needs --prometheus: a store holds no history")
        return now_document.document(now_document.from_samples(sources.store_samples(options.store), clock))
    at = clock if options.at is None else min(calendar.moment(options.at, "--at"), clock)
    return now_document.document(now.from_prometheus(api, at))
