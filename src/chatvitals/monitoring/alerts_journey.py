"""Alerts on journeys that customers do not complete."""

from __future__ import annotations

from functools import partial
from typing import Final

from chatvitals.monitoring.alert import Alert
from chatvitals.monitoring.expressions import beyond_chance, known, usual

_RUN: Final = "phone_number_id_journey:chatvitals_journey"
_STEP: Final = "phone_number_id_journey_step:chatvitals_journey"
_alert = partial(Alert, component="journey", dashboard="chatvitals-journeys", severity="warning", keep="1h")


def alerts() -> list[Alert]:
    """Return the alerts on journeys and their steps."""
    return [_completion(), _drop_off(), _stalls()]


def _completion() -> Alert:
    completed, started = f"{_RUN}_runs_completed:increase6h", f"{_RUN}_runs_started:increase6h"
    # A week's ratio is of sums: an hour's, in which few begin, can be above 1. A campaign takes hours.
    ratio = f"({completed} / ({started} >= 20))"
    week = f"(sum_over_time({completed}[7d:1h] offset 6h) / (sum_over_time({started}[7d:1h] offset 6h) > 0))"
    mostly = f"clamp_max({week} {known(started, '6h')}, 1)"
    return _alert(
        name="WhatsAppJourneyCompletionDropped",
        expr=f"{ratio} < 0.7 * {mostly}\nand {beyond_chance(f'{mostly} - {ratio}', mostly, started)}", hold="2h",
        summary="Fewer customers complete {{ $labels.journey }}",
        description="{{ $value | humanizePercentage }} of the runs of the last six hours were completed. This is less "
        "than 70 % of the week's share, and more than chance explains.",
        look="The journeys dashboard: at which step does the funnel fall? What was deployed?",
        mend="Try the journey yourself. Undo the change of the step at which customers leave.",
        verify="\"Completed of started\" is back at last week's line.",
    )  # fmt: skip


def _drop_off() -> Alert:
    dropped, ended = f"{_STEP}_step_dropped:ratio_increase1d", f"{_STEP}_step_ended:increase1d"
    often = usual(dropped, "1d")
    # Runs that are abandoned end a day late. So a step's first two days show too few of them, and the week before
    # must not hold these days. The same day a week ago is compared, too: a Monday's abandoned runs began on Saturday.
    return _alert(
        name="WhatsAppJourneyStepDropOff",
        expr=f"{dropped} > 0.1\nand {dropped} > 1.5 * {often}\nand {dropped} > 1.5 * ({dropped} offset 1w)\n"
        f"and {beyond_chance(f'{dropped} - {often}', often, ended)}\nand {ended} >= 20\nand {ended} offset 10d >= 0",
        hold="15m",
        summary="Customers leave {{ $labels.journey }} at {{ $labels.step }}",
        description="{{ $value | humanizePercentage }} of the runs that ended within a day were abandoned at this "
        "step. This is half as many again as in the week before, and as on that day a week ago.",
        look="The journeys dashboard: fallbacks, messages a visit, loops and waits at this step.",
        mend="Try the step yourself. Make its question shorter, or undo its last change.",
        verify="Drop-off of the step is back at the week's share. This takes a day.",
    )  # fmt: skip


def _stalls() -> Alert:
    share, stalled = f"{_STEP}_runs_stalled:ratio_started1d", f"{_STEP}_runs_stalled:max"
    before = usual(share, "1h")
    return _alert(
        name="WhatsAppJourneyStalls",
        expr=f"{share} > 1.5 * {before}\n"
        f"and {stalled} * (1 - {before} / {share}) > 4 * sqrt({stalled} * {before} / {share})\n"
        f"and {stalled} >= 20",
        hold="30m",
        summary="Runs of {{ $labels.journey }} stall at {{ $labels.step }}",
        description="{{ $value | humanizePercentage }} of a day's runs stand still at this step. This is half as "
        "many again as in the week before. Most of them will be abandoned.",
        look="Do customers get an answer at this step? See the response dashboard.",
        mend="Repair the step's handler, or remind the customers of the next thing to do.",
        verify='"Open runs, stalled ones dashed" falls for the step.',
    )  # fmt: skip
