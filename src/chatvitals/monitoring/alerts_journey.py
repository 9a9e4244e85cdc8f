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
    # A small shop has too few runs in six hours, so its latest three days are compared, also with those a week ago:
    # a weekend on which nobody works is no news.
    few = f"{_RUN}_runs_started:increase3d < 80"
    slowly = f"{_fell('3d', 10)}\nand {_share('3d', 10)} < 0.7 * {_share('3d', 5, ' offset 1w')}\nand {few}"
    return _alert(
        name="WhatsAppJourneyCompletionDropped",
        expr=f"{_fell('6h', 20)}\nor {slowly}", hold="2h",
        summary="Fewer customers of {{ $labels.phone_number_id }} complete {{ $labels.journey }}",
        description="{{ $value | humanizePercentage }} of the runs of the last six hours were completed, or of three "
        "days where few customers write. This is less than 70 % of the week's share, and more than chance explains.",
        when="Of the runs of 6h, at least 20, less than 70 % of the share of the week before were completed, and the "
        "difference is over 4 standard deviations. Or the same of 3d with 10 to 79 runs, where the 3d a week ago were "
        "not like this either.",
        look="The journeys dashboard: at which step does the funnel fall? What was deployed?",
        mend="Try the journey yourself. Undo the change of the step at which customers leave.",
        verify="\"Completed of started\" is back at last week's line.",
    )  # fmt: skip


def _share(window: str, least: int, at: str = "") -> str:
    """Return the share of completed runs where enough began. `at` is an offset."""
    return f"({_RUN}_runs_completed:increase{window}{at} / ({_RUN}_runs_started:increase{window}{at} >= {least}))"


def _fell(window: str, least: int) -> str:
    """Return the share of completed runs where it is far below that of the week before."""
    completed, started = f"{_RUN}_runs_completed:increase{window}", f"{_RUN}_runs_started:increase{window}"
    # A week's ratio is of sums: an hour's, in which few begin, can be above 1. A campaign takes hours.
    ratio = _share(window, least)
    week = (
        f"(sum_over_time({completed}[7d:1h] offset {window}) / (sum_over_time({started}[7d:1h] offset {window}) > 0))"
    )
    mostly = f"clamp_max({week} {known(started, window)}, 1)"
    return f"{ratio} < 0.7 * {mostly}\nand {beyond_chance(f'{mostly} - {ratio}', mostly, started)}"


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
        summary="Customers of {{ $labels.phone_number_id }} leave {{ $labels.journey }} at {{ $labels.step }}",
        description="{{ $value | humanizePercentage }} of the runs that ended within a day were abandoned at this "
        "step. This is half as many again as in the week before, and as on that day a week ago.",
        when="Of at least 20 runs that ended within 1d, over 10 % were abandoned at the step. This is over 1.5 times "
        "the week before and over 1.5 times that day a week ago, and the difference is over 4 standard deviations. "
        "The step is known for 10d.",
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
        summary="Runs of {{ $labels.journey }} stall at {{ $labels.step }}, on {{ $labels.phone_number_id }}",
        description="{{ $value | humanizePercentage }} of a day's runs stand still at this step. This is half as "
        "many again as in the week before. Most of them will be abandoned.",
        when="At least 20 runs stand still at the step. As a share of the runs of 1d this is over 1.5 times the week "
        "before, and the difference is over 4 standard deviations.",
        look="Do customers get an answer at this step? See the response dashboard.",
        mend="Repair the step's handler, or remind the customers of the next thing to do.",
        verify='"Open runs, stalled ones dashed" falls for the step.',
    )  # fmt: skip
