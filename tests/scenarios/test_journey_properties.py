"""Properties of conversations/README.md 6 and 7: the numbers fit together, in any order of delivery."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chatvitals.events import Message, Step
from chatvitals.metrics import catalogue
from chatvitals.stores import open_store
from tests.helpers.examples import examples
from tests.helpers.journey_scenarios import BY_ANY_ID, GAPS, NUMBER, PHONES, STEPS, JourneyWorld, by, histories, step
from tests.scenarios.test_order_independence import EPOCH, LONGEST, Delivery, disturbances, same


@examples(250)
@given(st.data())
def test_the_laws_hold_at_every_commit_and_order_changes_no_number(data: st.DataObject) -> None:
    """With workers, held commits, copies, kills and sweeps, all numbers are those of the quiet course of things."""
    history = data.draw(histories())
    expected = JourneyWorld(open_store("memory:")).play(history)
    disturbed, idle = data.draw(disturbances(history))
    same(JourneyWorld(open_store("memory:")).play(disturbed, idle), expected)


@examples(20)
@given(st.data())
def test_the_same_on_a_file_that_workers_share(data: st.DataObject) -> None:
    """SQLite's rows are not kept in memory between two commits."""
    history = data.draw(histories())
    expected = JourneyWorld(open_store("memory:")).play(history)
    disturbed, idle = data.draw(disturbances(history))
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{Path(folder) / 'property.db'}")
        same(JourneyWorld(store).play(disturbed, idle), expected)
        store.close()


@examples(100)
@given(histories(), st.lists(st.floats(0.0, LONGEST), max_size=20))
def test_everything_ends_and_nothing_is_left_open(history: list[Delivery], idle: list[float]) -> None:
    """After a week of silence every run has one outcome, every step has ended, and all gauges are 0."""
    cells = JourneyWorld(open_store("memory:")).play(history, idle)
    assert not by(cells, catalogue.JOURNEY_RUNS_OPEN, 1)
    assert not by(cells, catalogue.JOURNEY_RUNS_STALLED, 1)
    assert by(cells, catalogue.JOURNEY_STEP_ENDED, 1, 2) == by(cells, catalogue.JOURNEY_STEP_REACHED, 1, 2)
    assert by(cells, catalogue.JOURNEY_RUNS, 1) == by(cells, catalogue.JOURNEY_RUNS_STARTED, 1)
    visits = sum(type(delivery.event) is Step for delivery in history)
    assert sum(by(cells, catalogue.JOURNEY_STEP_VISITS, 1).values()) == visits


@examples(150)
@given(histories(BY_ANY_ID), st.lists(st.floats(0.0, LONGEST), max_size=6))
def test_the_laws_hold_for_people_with_several_ids(history: list[Delivery], idle: list[float]) -> None:
    """Contacts that turn out to be one person keep what is open, and nothing that was counted is taken back."""
    world = JourneyWorld(open_store("memory:"))
    world.merging = True
    cells = world.play(history, idle)
    assert by(cells, catalogue.JOURNEY_RUNS, 1) == by(cells, catalogue.JOURNEY_RUNS_STARTED, 1)
    assert by(cells, catalogue.JOURNEY_STEP_ENDED, 1, 2) == by(cells, catalogue.JOURNEY_STEP_REACHED, 1, 2)


@st.composite
def walks(draw: st.DrawFn) -> tuple[list[Delivery], list[int]]:
    """Draw contacts that each walk the linear journey once from its start, write meanwhile, and stop somewhere."""
    out: list[Delivery] = []
    lengths = []
    for phone in PHONES:
        now = draw(st.sampled_from([0.2, 7.7, 500.3]))
        length = draw(st.integers(0, len(STEPS["order"])))
        lengths.append(length)
        for index in range(length):
            who: dict[str, Any] = {"phone_number_id": NUMBER, "wa_id": phone, "received": EPOCH + now}
            if draw(st.booleans()):
                out.append(Delivery(now, Message(**who, id=f"wamid.{phone}{now}", type="text", timestamp=None)))
            out.append(Delivery(now, step(who, "order", STEPS["order"][index])))
            now = round(now + min(draw(GAPS), 80_000.0), 3)
    return out, lengths


@examples(100)
@given(walks(), st.data())
def test_a_linear_journey_narrows(walked: tuple[list[Delivery], list[int]], data: st.DataObject) -> None:
    """Without re-entry no step is reached by more than the one before, and the funnel is what was walked."""
    history, lengths = walked
    disturbed, idle = data.draw(disturbances(sorted(history, key=lambda delivery: delivery.at)))
    cells = JourneyWorld(open_store("memory:")).play(disturbed, idle)
    reached = by(cells, catalogue.JOURNEY_STEP_REACHED, 2)
    funnel = [reached[name] for name in STEPS["order"]]
    assert funnel == sorted(funnel, reverse=True)
    assert funnel == [sum(length > index for length in lengths) for index in range(4)]
    dropped = by(cells, catalogue.JOURNEY_STEP_DROPPED, 2)
    assert [dropped[name] for name in STEPS["order"]] == [lengths.count(index + 1) for index in range(3)] + [0]
    assert by(cells, catalogue.JOURNEY_RUNS, 2)["completed"] == lengths.count(4)
    assert not by(cells, catalogue.JOURNEY_STEP_LOOPS, 2)
