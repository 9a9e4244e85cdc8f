"""Evaluate all rules over the months.

`python -m tests.months [--cache DIR] [--last DAYS] [--seed N] [--verbose] [NAME …]`
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from chatvitals.simulator.months import DAYS, MONTHS
from chatvitals.simulator.story import DAY
from tests.months.episodes import episodes
from tests.months.history import START, recorded
from tests.months.verdict import Verdict, in_days, table


def main() -> int:
    """Print the tables. Return 0."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.months", description="Evaluate all rules over simulated months on a real Prometheus."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"months (default: all): {', '.join(MONTHS)}")
    parser.add_argument("--cache", type=Path, help="a folder that keeps the months for the next run")
    parser.add_argument("--verbose", action="store_true", help="print each episode")
    parser.add_argument(
        "--last", type=float, default=DAYS, metavar="DAYS", help="evaluate the last days only, which is quicker"
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="another seed gives other months of these kinds"
    )
    given = parser.parse_args()
    since = (DAYS - given.last) * DAY
    unknown = [name for name in given.names if name not in MONTHS]
    if unknown:
        parser.error(f"there is no month {unknown[0]}")
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="chatvitals-months-") as temporary:
        for name in given.names or MONTHS:
            folder = (given.cache or Path(temporary)) / f"{name}-{given.seed}"
            with recorded(name, folder, since=since, seed=given.seed) as month:
                verdict = Verdict(name, month.begins, month.ends, episodes(month, since=since), days=given.last)
            verdicts.append(verdict)
            sys.stderr.write(f"{name}: {len(verdict.found)} episodes\n")
            for each in verdict.found if given.verbose else []:
                right = "right" if verdict.is_right(each) else "FALSE"
                when = f"{in_days(each.begins, START)} to {in_days(each.ends, START)}"
                sys.stderr.write(f"  {right} {each.severity} {each.alert}: {when}\n")
    sys.stdout.write(table(verdicts))
    return 0


sys.exit(main())
