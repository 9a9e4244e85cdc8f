"""`chatvitals report`: report on a fallen rating, unanswered turns, templates or a journey."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chatvitals.cli import _common, analysis_options

if TYPE_CHECKING:
    import argparse

    from chatvitals.analysis.document import Document
    from chatvitals.analysis.periods import Calendar

_SUBJECTS = ("drop", "unanswered", "templates", "journey")
_SUBJECTS_IN_WORDS = {
    "drop": "a drop", "unanswered": "unanswered turns", "templates": "templates", "journey": "a journey",
}  # fmt: skip


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Report on one subject. drop (the default): the changes before a rating fell. unanswered: turns without an "
        "answer. templates: the results of each template. journey NAME: the steps at which customers get stuck. "
        "Exit status: 0 shown, 1 not readable, 2 invalid arguments, 3 too little data."
    )
    parser.add_argument("subject", nargs="?", choices=_SUBJECTS, default="drop", help="the subject (default: drop)")
    parser.add_argument("name", nargs="?", metavar="NAME", help="the journey")
    analysis_options.add_source(parser, store=False)
    analysis_options.add_output(parser)
    parser.add_argument("--drop", metavar="DAY", help="the fall: last or a day (default: last)")
    parser.add_argument(
        "--days", type=analysis_options.days, metavar="N", help="days to look back (default: 30, or 90 for a drop)"
    )
    parser.add_argument("--number", metavar="N", help="the business number: its id, phone number or name")
    parser.add_argument("--from", dest="start", metavar="TIME", help="start of the period, instead of --days")
    parser.add_argument("--to", dest="end", metavar="TIME", help="end of the period (default: now)")
    parser.add_argument(
        "--against", metavar="PERIOD", help="the period to compare a journey with, such as 8d before it"
    )
    parser.add_argument(
        "--html", type=_common.output, metavar="FILE", help="write the report on a drop as one HTML file, too"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print a report and return the exit status."""
    about = "" if options.name is None else f"the journey {options.name}"
    return analysis_options.show("report", options, lambda: _answer(options), about)


def _answer(options: argparse.Namespace) -> Document:
    from chatvitals.analysis.errors import WrongNameError  # noqa: PLC0415 - each command imports only what it needs
    from chatvitals.analysis.periods import Calendar  # noqa: PLC0415

    calendar = Calendar(options.tz, time.time())
    if (options.name is not None) != (options.subject == "journey"):
        raise WrongNameError("report journey needs the name of one journey. The other reports take no name")
    if options.html is not None and options.subject != "drop":
        raise WrongNameError("--html is for the report on a drop")
    falls, journey = options.subject == "drop", options.subject == "journey"
    given = {"drop": falls, "start": not falls, "end": not falls, "against": journey}
    analysis_options.refuse_unused(options, given, f"the report on {_SUBJECTS_IN_WORDS[options.subject]}")
    if falls:
        return _drop(options, calendar)
    from chatvitals.analysis import journey_report, template_report, unanswered_report  # noqa: PLC0415
    from chatvitals.analysis.scope import scope  # noqa: PLC0415

    over = scope(analysis_options.needed_prometheus(options), calendar, start=options.start, end=options.end,
                 days=options.days or 30.0, number=options.number)  # fmt: skip
    if options.subject == "unanswered":
        return unanswered_report.document(over)
    if options.subject == "templates":
        return template_report.document(over)
    return journey_report.document(over, options.name, options.against)


def _drop(options: argparse.Namespace, calendar: Calendar) -> Document:
    from chatvitals.analysis import drop_document, rating_drop  # noqa: PLC0415
    from chatvitals.analysis.history import DAY, LONGEST_DAYS, known_span  # noqa: PLC0415
    from chatvitals.analysis.numbers import known_numbers  # noqa: PLC0415

    if options.html is not None:
        from chatvitals.analysis import html_report  # noqa: PLC0415

        html_report.check(options.html)
    api, days = analysis_options.needed_prometheus(options), options.days or float(LONGEST_DAYS)
    report = rating_drop.find(api, calendar, options.drop or "last", days=days, number=options.number)
    if report is None:
        first, last = known_span(api, calendar.now)
        first = max(first, last - days * DAY)
        found = drop_document.no_fall((last - first) / DAY, len(known_numbers(api, first, last)))
        if options.html is not None:
            found.verdict += f" {options.html} was not written."
        return found
    made = drop_document.document(report, calendar)
    if options.html is not None:
        html_report.write(options.html, report, made, calendar, api)
    return made
