"""Rules for the progress of a contact through a journey, and for the end of a run (conversations/README.md 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.conversations import experiments
from chatvitals.conversations.state import FAILED, UNANSWERED, ContactState, Item, Run
from chatvitals.metrics import catalogue

if TYPE_CHECKING:
    from chatvitals.metrics.measurements import Measurements

_LOOP_VISITS = 3
_START = "start"  # the step before a run's first step
_END_OF_STEP = {
    "completed": "completed",
    "handed_over": "handed_over",
    "restarted": "restarted",
    "expired": "expired",
    "abandoned_by_user": "abandoned",
    "abandoned_by_business": "abandoned",
}


def next_timer(contact: ContactState) -> float | None:
    """Return the time of the next timer of any run: stalled, abandoned or expired."""
    earliest: float | None = None
    for run in contact.runs:
        point = min(run.active + run.abandoned_after, run.started + run.expires_after)
        if not run.stalled:
            point = min(point, run.active + run.stalled_after)
        if earliest is None or point < earliest:
            earliest = point
    return earliest


def fire_timers(contact: ContactState, at: float, measures: Measurements) -> None:
    """Apply the timers of runs that are due at `at`."""
    for run in contact.runs:
        if run.started + run.expires_after <= at:
            _end(contact, run, "expired", run.active, measures)
        elif run.active + run.abandoned_after <= at:
            _end(contact, run, _abandoned(contact, run), run.active, measures)
        elif run.active + run.stalled_after <= at and not run.stalled:
            run.stalled = True
            measures.count(catalogue.JOURNEY_RUNS_STALLED, _labels(contact, run))


def activity(contact: ContactState, at: float, measures: Measurements) -> None:
    """Record that the contact wrote a message. A stalled run resumes."""
    for run in contact.runs:
        if at > run.active:
            _resume(contact, run, measures)
            run.active = at


def count_message(contact: ContactState, at: float, measures: Measurements) -> None:
    """Count a message of a turn at the step of each run at the time of writing."""
    for run in contact.runs:
        if at >= run.entered:
            measures.count(catalogue.JOURNEY_STEP_MESSAGES, _labels(contact, run))


def count_fallback(contact: ContactState, measures: Measurements) -> None:
    """Count a fallback at the current step of each open run."""
    for run in contact.runs:
        measures.count(catalogue.JOURNEY_STEP_FALLBACKS, _labels(contact, run))


def step(contact: ContactState, item: Item, measures: Measurements) -> None:
    """Enter a step. The first step of a journey begins a run, and the completing step ends it."""
    run = _open_run(contact, item.journey)
    before = _START if run is None else run.step
    measures.count(catalogue.JOURNEY_TRANSITIONS, (contact.phone_number_id, item.journey, before, item.name))
    if run is None:
        run = _begin(contact, item, measures)
    elif item.at >= run.entered:  # a late step counts as a visit and does not move the run back
        _resume(contact, run, measures)
        measures.observe(catalogue.JOURNEY_STEP_SECONDS, (*_labels(contact, run), "advanced"), item.at - run.entered)
        measures.count(catalogue.JOURNEY_RUNS_OPEN, _labels(contact, run), -1.0)
        run.step, run.entered, run.active = item.name, item.at, max(run.active, item.at)
        measures.count(catalogue.JOURNEY_RUNS_OPEN, _labels(contact, run))
    visits = run.visits[item.name] = run.visits.get(item.name, 0) + 1
    labels = (contact.phone_number_id, item.journey, item.name)
    measures.count(catalogue.JOURNEY_STEP_VISITS, labels)
    if visits == 1:
        measures.count(catalogue.JOURNEY_STEP_REACHED, labels)
    elif visits == _LOOP_VISITS:
        measures.count(catalogue.JOURNEY_STEP_LOOPS, labels)
    if item.completes:
        _end(contact, run, "completed", item.at, measures)


def end(contact: ContactState, item: Item, measures: Measurements) -> None:
    """End the open run of a journey at the code's request. `item.name` is the outcome."""
    run = _open_run(contact, item.journey)
    if run is not None:
        _end(contact, run, item.name, max(item.at, run.entered), measures)


def hand_over(contact: ContactState, at: float, measures: Measurements) -> None:
    """End all open runs, because a person goes on from here."""
    for run in contact.runs:
        _end(contact, run, "handed_over", max(at, run.entered), measures)


def end_second_runs(contact: ContactState, measures: Measurements) -> None:
    """Keep the latest active run of each journey and end the others. It follows a merge of two contacts."""
    latest = {run.journey: run for run in sorted(contact.runs, key=lambda run: run.active)}
    for run in contact.runs:
        if run is not latest[run.journey]:
            _end(contact, run, "restarted", run.active, measures)


def _open_run(contact: ContactState, journey: str) -> Run | None:
    for run in contact.runs:
        if run.journey == journey:
            return run
    return None


def _begin(contact: ContactState, item: Item, measures: Measurements) -> Run:
    stalled_after, abandoned_after, expires_after = item.spans
    run = Run(
        journey=item.journey,
        step=item.name,
        started=item.at,
        entered=item.at,
        active=item.at,
        stalled_after=stalled_after,
        abandoned_after=abandoned_after,
        expires_after=expires_after,
    )
    contact.runs += (run,)
    measures.count(catalogue.JOURNEY_RUNS_STARTED, (contact.phone_number_id, item.journey))
    measures.count(catalogue.JOURNEY_RUNS_OPEN, _labels(contact, run))
    return run


def _resume(contact: ContactState, run: Run, measures: Measurements) -> None:
    if run.stalled:
        run.stalled = False
        measures.count(catalogue.JOURNEY_RUNS_STALLED, _labels(contact, run), -1.0)


def _abandoned(contact: ContactState, run: Run) -> str:
    """Return the outcome of an abandoned run.

    The business abandoned it if a turn waits, or if the latest turn got no answer and ended after the run's start.
    """
    latest = contact.turns[-1] if contact.turns else None
    silent = latest is not None and latest.outcome in {UNANSWERED, FAILED} and latest.ended > run.started
    waiting = any(turn.waits for turn in contact.turns)
    return "abandoned_by_business" if waiting or silent else "abandoned_by_user"


def _end(contact: ContactState, run: Run, outcome: str, until: float, measures: Measurements) -> None:
    """End a run. The time in its last step ends at `until`, which is the last activity where a timer ended the run."""
    _resume(contact, run, measures)
    contact.runs = tuple(other for other in contact.runs if other is not run)
    labels = _labels(contact, run)
    measures.count(catalogue.JOURNEY_RUNS_OPEN, labels, -1.0)
    measures.count(catalogue.JOURNEY_RUNS, (contact.phone_number_id, run.journey, outcome))
    measures.observe(catalogue.JOURNEY_STEP_SECONDS, (*labels, _END_OF_STEP[outcome]), max(until - run.entered, 0.0))
    for name in run.visits:
        measures.count(catalogue.JOURNEY_STEP_ENDED, (contact.phone_number_id, run.journey, name))
    if _END_OF_STEP[outcome] == "abandoned":
        measures.count(catalogue.JOURNEY_STEP_DROPPED, (*labels, outcome))
    if outcome == "completed":
        experiments.goal(contact, run.journey, measures)


def _labels(contact: ContactState, run: Run) -> tuple[str, str, str]:
    return (contact.phone_number_id, run.journey, run.step)
