"""`chatvitals demo`: run a bot, customers and WhatsApp on one machine, and compare the metrics with the truth."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from chatvitals.cli import _common

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from chatvitals.demo.scenarios import Scenario

DEFAULT_PORT = 9464
_SCENARIOS = ("calm", "slow", "outage", "quality-drop")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Run a bot, its customers and a stand-in for WhatsApp on this machine. At the end, compare what customers "
        "measured with what the metrics say. Exit status: 0 they agree, 1 they disagree, 2 the demo did not start."
    )
    parser.add_argument("--duration", type=_common.seconds, metavar="S", help="seconds to run (default: until Ctrl-C)")
    parser.add_argument("--scenario", choices=_SCENARIOS, default="calm", help="what happens (default: %(default)s)")
    parser.add_argument("--plain", action="store_true", help="print plain lines instead of a live view")
    parser.add_argument(
        "--port", type=_common.port, default=DEFAULT_PORT, metavar="N", help="port of /metrics (default: %(default)s)"
    )
    parser.set_defaults(
        run=lambda options: run(options.duration, options.scenario, plain=options.plain, port=options.port)
    )


def run(
    duration: float | None = None,
    scenario: str = "calm",
    plain: bool = False,  # noqa: FBT001, FBT002 - the command line's four options, in its order
    port: int = DEFAULT_PORT,
) -> int:
    """Run the demo and return the exit status.

    Args:
        duration: seconds in which customers write. None means until Ctrl-C.
        scenario: `calm`, `slow`, `outage` or `quality-drop`.
        plain: whether to print lines instead of a live table. It is the default without a terminal.
        port: port of the bot and its `/metrics`. 0 takes a free port.

    Returns:
        0 if customers and metrics agree, 1 if not, 2 if a part did not start, 130 after a second Ctrl-C.

    """
    try:
        from chatvitals.demo.processes import StartError  # noqa: PLC0415 - as above
        from chatvitals.demo.runner import play  # noqa: PLC0415 - as above
        from chatvitals.demo.scenarios import SCENARIOS  # noqa: PLC0415 - the core runs without the demo's extra
        from chatvitals.demo.view import PlainView, RichView  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "chatvitals":
            raise
        return _common.refused("demo", f"{error.name} is not installed. The demo needs: pip install 'chatvitals[demo]'")
    if wrong := _wrong(duration, scenario, SCENARIOS):
        return _common.refused("demo", wrong)
    view = PlainView() if plain or not sys.stdout.isatty() else RichView()
    try:
        agreed = asyncio.run(play(SCENARIOS[scenario], view, duration=duration, port=port))
    except StartError as error:
        return _common.refused("demo", str(error))
    except (KeyboardInterrupt, asyncio.CancelledError):
        view.stop()
        return _common.refused("demo", "ended at once, without the closing table.", _common.INTERRUPTED)
    return _common.OK if agreed else _common.FAILED


def _wrong(duration: float | None, scenario: str, scenarios: Mapping[str, Scenario]) -> str:
    """Return the error in the command's arguments, or the empty string."""
    if scenario not in scenarios:
        return f"there is no scenario {scenario!r}. The scenarios are: {', '.join(scenarios)}"
    if duration is None:
        return ""
    if not 0 < duration < float("inf"):
        return f"the duration must be a number of seconds above 0, not {duration}"
    shortest = scenarios[scenario].shortest
    if duration < shortest:
        return f"{scenario} takes at least {shortest:g} s, not {duration:g}: ratings fall step by step"
    return ""
