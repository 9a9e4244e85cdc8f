"""`chatvitals compare`: compare the variants of an experiment, or two periods, days, versions or numbers."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from chatvitals.cli import analysis_options

if TYPE_CHECKING:
    from chatvitals.analysis.document import Document


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Compare the variants of an experiment, with intervals that may be looked at every day. Or compare "
        "two periods, days, versions of the bot or business numbers, which is not an experiment. "
        "Exit status: 0 shown, 1 not readable, 2 invalid arguments, 3 too little data."
    )
    parser.add_argument("experiment", nargs="?", metavar="EXPERIMENT", help="compare the variants of this experiment")
    analysis_options.add_source(parser, store=True)
    analysis_options.add_output(parser)
    one = parser.add_argument_group("experiment")
    one.add_argument("--control", metavar="VARIANT", help="the variant to compare with (default: the first declared)")
    one.add_argument("--planned", type=_contacts, metavar="N", help="planned contacts (default: the experiment's)")
    one.add_argument(
        "--margin",
        type=_points,
        metavar="P",
        help="largest difference in points that does not matter (default: 2)",
    )
    one.add_argument("--until", metavar="TIME", help="count up to this time only (default: now)")
    two = parser.add_argument_group("two sides")
    two.add_argument("--before", metavar="PERIOD", help="the earlier period: FROM..TO, a day, or 8d before --after")
    two.add_argument("--after", metavar="PERIOD", help="the later period: FROM..TO or a day")
    two.add_argument("--on", metavar="DAY", help="the day to compare, such as 2026-11-10")
    two.add_argument("--version", metavar="V", help="the version of the bot to compare (its app_version)")
    two.add_argument("--number", metavar="N", help="a business number: its id, phone number or name")
    two.add_argument("--against", metavar="OTHER", help="the day, version or number to compare it with")
    two.add_argument(
        "--since-first-message", action="store_true", help="compare numbers by days since each number's first message"
    )
    two.add_argument("--days", type=analysis_options.days, metavar="N", help="days to look back (default: 30)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print a comparison and return the exit status."""
    about = "" if options.experiment is None else f"the experiment {options.experiment}"
    return analysis_options.show("compare", options, lambda: _answer(options), about)


def _answer(options: argparse.Namespace) -> Document:
    from chatvitals.analysis.errors import WrongNameError  # noqa: PLC0415 - each command imports only what it needs

    sides = [name for name in ("before", "on", "version") if getattr(options, name) is not None]
    if options.number is not None and options.against is not None and not sides:
        sides = ["number"]
    if options.experiment is not None and not sides:
        unused = dict.fromkeys(("after", "against", "since_first_message", "days"), False)
        analysis_options.refuse_unused(options, unused, "the comparison of an experiment")
        return _experiment(options)
    if options.experiment is not None or len(sides) != 1:
        raise WrongNameError(
            "give one thing to compare: EXPERIMENT, --before with --after, --on, --version or --number with --against"
        )
    for_one_kind = dict.fromkeys(("control", "planned", "margin", "until"), False)
    for_one_kind |= {"after": sides == ["before"], "against": sides != ["before"]}
    analysis_options.refuse_unused(
        options, for_one_kind | {"since_first_message": sides == ["number"]}, f"a comparison by --{sides[0]}"
    )
    other = "after" if sides == ["before"] else "against"
    if getattr(options, other) is None:
        raise WrongNameError(f"--{sides[0]} needs --{other}")
    from chatvitals.analysis import number_comparison, side_comparison  # noqa: PLC0415

    api = analysis_options.needed_prometheus(options)
    shared = {"other": getattr(options, other), "tz": options.tz, "days": options.days or 30.0}
    if sides == ["number"]:
        numbers = number_comparison.Question(
            ours=options.number, since_first_message=options.since_first_message, **shared
        )
        return number_comparison.compare(api, numbers, time.time())
    if sides == ["before"]:
        shared["other"] = options.before
        asked = side_comparison.Question(kind="before", ours=options.after, number=options.number, **shared)
    elif sides == ["on"]:
        asked = side_comparison.Question(kind="on", ours=options.on, number=options.number, **shared)
    else:
        asked = side_comparison.Question(kind="version", ours=options.version, number=options.number, **shared)
    return side_comparison.compare(api, asked, time.time())


def _experiment(options: argparse.Namespace) -> Document:
    from chatvitals.analysis import experiment_comparison, experiment_counts, experiment_report, sources  # noqa: PLC0415
    from chatvitals.analysis.numbers import chosen, known_numbers, numbers_in  # noqa: PLC0415
    from chatvitals.analysis.periods import Calendar  # noqa: PLC0415

    now = time.time()
    calendar = Calendar(options.tz, now)
    at = now if options.until is None else min(calendar.moment(options.until, "--until"), now)
    api = analysis_options.prometheus(options)
    number = options.number
    if api is None:
        samples = sources.store_samples(options.store)
        if number is not None:
            number = chosen(numbers_in(samples), number).id
        counts = experiment_counts.from_samples(samples, options.experiment, control=options.control, number=number)
    else:
        if number is not None:
            number = chosen(known_numbers(api, at - 90 * 86_400, at), number).id
        counts = experiment_counts.from_prometheus(api, options.experiment, at, control=options.control, number=number)
    margin = experiment_comparison.MARGIN if options.margin is None else options.margin / 100
    result = experiment_comparison.judge(counts, planned=options.planned, margin=margin)
    return experiment_report.document(result)


def _contacts(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10**9:
        raise argparse.ArgumentTypeError(f"must be a number of contacts above 0, not {text!r}")
    return int(text)


def _points(text: str) -> float:
    return analysis_options.number(text, 100.0, "points above 0 and up to 100")
