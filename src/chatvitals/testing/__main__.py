"""`python -m chatvitals.testing FILE…`: run scenario files and print one JSON line with the result of each."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from chatvitals.settings import Settings, SettingsError
from chatvitals.stores import kind_of
from chatvitals.testing import differences, run_scenario


def main(arguments: list[str] | None = None) -> int:
    """Run the scenarios of a command line. Return 0 if all hold, 1 if not, and 2 for invalid arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m chatvitals.testing", description="Run scenario files and check their numbers."
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a scenario, as JSON")
    parser.add_argument("--samples", action="store_true", help="print the exposition instead of the result")
    parser.add_argument(
        "--store",
        default="",
        metavar="URL",
        help="memory:, sqlite:///PATH or redis://HOST:PORT (default: SQLite in a temporary folder)",
    )
    options = parser.parse_args(arguments)
    if options.store:
        try:
            Settings.load({"store": options.store}, environ={})
        except SettingsError as error:
            parser.error(str(error))
        if kind_of(options.store).name == "file" and len(options.files) > 1:
            parser.error("a store file holds one scenario: give one FILE, or leave --store out")
    verdicts = [_run(path, options.store, samples=options.samples) for path in options.files]
    return 0 if all(verdicts) else 1


def _run(path: Path, store: str, *, samples: bool) -> bool:
    try:
        scenario: dict[str, Any] = json.loads(path.read_text())
        exposition = run_scenario(scenario, store)
        found = [] if samples else differences(scenario, exposition)
    except Exception as error:  # noqa: BLE001 - one broken file must not hide the results of the others
        found, exposition = [f"{type(error).__name__}: {error}"], ""
    if samples and not found:
        sys.stdout.write(exposition)
    else:
        sys.stdout.write(json.dumps({"name": path.stem, "ok": not found, "differences": found}) + "\n")
        sys.stdout.flush()
    return not found


if __name__ == "__main__":
    sys.exit(main())
