"""Alerts in incidents of journeys and of slow answers at night: the right number and step, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helpers.incidents import DAY, EVER, HOUR, WEEK, Incident, Series, growing, run, times

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.incidents import Value

NUMBER = {"phone_number_id": "1"}


def runs(started: Value, completed: Value, number: str = "1") -> tuple[Series, ...]:
    """Return the runs of a journey."""
    order = {"phone_number_id": number, "journey": "order"}
    return (
        Series("chatvitals_journey_runs_started_total", started, order),
        Series("chatvitals_journey_runs_total", completed, {**order, "outcome": "completed"}),
    )


def left(ended: Value, dropped: Value, step: str, number: str = "1") -> tuple[Series, ...]:
    """Return the runs that ended at or after a step, and those that were abandoned at it."""
    at = {"phone_number_id": number, "journey": "order", "step": step}
    return (
        Series("chatvitals_journey_step_ended_total", ended, at),
        Series("chatvitals_journey_step_dropped_total", dropped, {**at, "outcome": "abandoned_by_user"}),
    )


def stalled(value: Value, step: str = "address") -> Series:
    """Return the runs that stand still at a step."""
    return Series("chatvitals_journey_runs_stalled", value, {**NUMBER, "journey": "order", "step": step})


def late(opened: Value, overdue: Value) -> tuple[Series, ...]:
    """Return turns, and those that were not answered within the objective."""
    first = {**NUMBER, "turn": "first"}
    return (
        Series("chatvitals_turns_opened_total", opened, first),
        Series("chatvitals_turns_overdue_total", overdue, {**first, "threshold": "60"}),
    )


SEVENTEEN_DAYS = 17 * DAY
FEW = [DAY * number // 5 + 37 for number in range(5 * 17)]
"""Five customers a day."""
MOST = [at for number, at in enumerate(FEW) if number % 5 in {0, 2, 3}]
"""Those who complete their run: three of five."""
NOON = 12 * DAY + 12 * HOUR
MANY = runs(growing((EVER, 0.07)), growing((EVER, 0.042)))
"""A hundred runs a day, of which three of five are completed."""

JOURNEYS = (
    Incident(
        "nobody completes a run any more, of a hundred a day",
        "WhatsAppJourneyCompletionDropped",
        runs(growing((EVER, 0.07)), growing((NOON, 0.042), (EVER, 0))),
        fires=(NOON + 8 * HOUR,),
        quiet=(NOON, NOON + HOUR),
        scrape=10,
        evaluated=60,
    ),
    Incident(
        "nobody completes a run any more, of five a day",
        "WhatsAppJourneyCompletionDropped",
        runs(times(FEW), times([at for at in MOST if at < NOON])),
        fires=(NOON + 4 * DAY,),
        quiet=(NOON, NOON + DAY),
        scrape=10,
        evaluated=60,
    ),
    Incident(
        "three of five customers a day complete their run, as ever",
        "WhatsAppJourneyCompletionDropped",
        runs(times(FEW), times(MOST)),
        quiet=tuple(range(4 * DAY, SEVENTEEN_DAYS, 6 * HOUR)),
        scrape=10,
        evaluated=60,
    ),
    Incident(
        "five customers a day, and people complete their runs from Monday to Friday",
        "WhatsAppJourneyCompletionDropped",
        runs(times(FEW), times([at for at in FEW if at % WEEK < 5 * DAY])),
        quiet=tuple(range(11 * DAY, SEVENTEEN_DAYS, 6 * HOUR)),
        scrape=10,
        evaluated=60,
    ),
    Incident(
        "ten numbers, and nobody completes a run at the seventh",
        "WhatsAppJourneyCompletionDropped",
        tuple(
            series
            for number in range(10)
            for series in runs(
                growing((EVER, 0.07)), growing((NOON, 0.042), (EVER, 0.042 * (number != 7))), f"{number}"
            )
        ),
        fires=(NOON + 8 * HOUR,),
        quiet=(NOON,),
        where='phone_number_id="7"',
        scrape=10,
        evaluated=60,
    ),
    Incident(
        "ten numbers, and the other nine are as ever",
        "WhatsAppJourneyCompletionDropped",
        tuple(
            series
            for number in range(10)
            for series in runs(
                growing((EVER, 0.07)), growing((NOON, 0.042), (EVER, 0.042 * (number != 7))), f"{number}"
            )
        ),
        quiet=(NOON, NOON + 8 * HOUR, NOON + DAY),
        where='phone_number_id!="7"',
        scrape=10,
        evaluated=60,
    ),
    Incident(
        "customers leave at the address, which one in twenty did before",
        "WhatsAppJourneyStepDropOff",
        (
            *left(growing((EVER, 0.07)), growing((NOON, 0.0035), (EVER, 0.035)), "address"),
            *left(growing((EVER, 0.035)), growing((EVER, 0.003)), "payment"),
        ),
        fires=(NOON + DAY,),
        quiet=(NOON, NOON + 2 * HOUR),
        where='step="address"',
        scrape=10,
        evaluated=60,
    ),
    Incident(
        "customers leave at the address, and those who come to the payment pay as ever",
        "WhatsAppJourneyStepDropOff",
        (
            *left(growing((EVER, 0.07)), growing((NOON, 0.0035), (EVER, 0.035)), "address"),
            *left(growing((NOON, 0.066), (EVER, 0.035)), growing((NOON, 0.006), (EVER, 0.003)), "payment"),
        ),
        quiet=(NOON, NOON + DAY, NOON + 2 * DAY),
        where='step!="address"',
        scrape=10,
        evaluated=60,
    ),
    Incident(
        "a confusing step is repeated, and customers complete their runs a little later",
        "WhatsAppJourneyStalls",
        (
            *MANY,
            stalled(lambda at: 12.0 if at < NOON else 16.0),
        ),
        quiet=(NOON, NOON + 4 * HOUR, NOON + DAY),
        scrape=4,
        evaluated=60,
    ),
    Incident(
        "runs stand still at the address",
        "WhatsAppJourneyStalls",
        (
            *MANY,
            stalled(lambda at: 12.0 if at < NOON else min(12.0 + (at - NOON) / 10, 60.0)),
        ),
        fires=(NOON + 7 * HOUR,),
        quiet=(NOON, NOON + 2 * HOUR),
        scrape=4,
        evaluated=60,
    ),
    Incident(
        "a campaign doubles the runs, and as many of them as ever stand still",
        "WhatsAppJourneyStalls",
        (
            *runs(growing((NOON, 0.07), (EVER, 0.14)), growing((EVER, 0.042))),
            stalled(lambda at: 30.0 if at < NOON else min(30.0 + (at - NOON) / 48, 60.0)),
        ),
        quiet=(NOON, NOON + 6 * HOUR, NOON + 12 * HOUR, NOON + DAY, NOON + 2 * DAY),
        scrape=4,
        evaluated=60,
    ),
)

NIGHT = 4 * DAY + HOUR
SLOW = (
    Incident(
        "a busy bot answers after one to five minutes at night",
        "WhatsAppSlowAnswersBudgetBurn",
        late(growing((EVER, 0.7)), growing((NIGHT, 0.007), (6 * HOUR, 0.7), (EVER, 0.007))),
        fires=(NIGHT + 80, NIGHT + 5 * HOUR),
        quiet=(NIGHT, NIGHT + 30, NIGHT + 8 * HOUR),
        where='long=~"1h|6h"',
        scrape=2,
        evaluated=10,
    ),
    Incident(
        "a bot with one customer an hour at night answers them after one to five minutes",
        "WhatsAppSlowAnswersBudgetBurn",
        late(
            growing((4 * DAY, 0.1), (7 * HOUR, 0.02), (EVER, 0.1)),
            growing((4 * DAY, 0.001), (7 * HOUR, 0.02), (EVER, 0.001)),
        ),
        quiet=tuple(range(4 * DAY, 5 * DAY, HOUR)),
        where='long=~"1h|6h"',
        scrape=2,
        evaluated=10,
    ),
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("incident", [*JOURNEYS, *SLOW], ids=lambda each: each.about)
def test_an_alert_fires_when_it_matters_and_never_otherwise(incident: Incident, tmp_path: Path) -> None:
    """At each of the minutes."""
    assert run(incident, tmp_path) == ""
