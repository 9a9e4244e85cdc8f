"""Rules of conversations/README.md 6 for a bot's author: declaring, reaching and ending runs."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.events import RunEnd, Step
from chatvitals.exporters.prometheus import render
from chatvitals.metrics import catalogue
from tests.helpers.recorded_events import NUMBER, PHONE, STEPS, USER, ListeningVitals, item, order_of, webhook

if TYPE_CHECKING:
    from chatvitals.tracking.journeys import Journey

OTHER_PHONE = "15550004322"
DAY = 86_400.0
REACHED = catalogue.JOURNEY_STEP_REACHED
PAYLOADS = Path(__file__).parents[2] / "payloads"


@pytest.fixture
def vitals() -> ListeningVitals:
    """A Vitals to listen to."""
    return ListeningVitals()


@pytest.fixture
def order(vitals: ListeningVitals) -> Journey:
    """A journey that paying completes."""
    return order_of(vitals)


WHO = {"contact": PHONE, "phone_number_id": NUMBER}


def steps(vitals: ListeningVitals) -> list[tuple[str, str, str, str]]:
    """Return whose steps were emitted, and which."""
    return [(event.phone_number_id, event.wa_id, event.user_id, event.step) for event in vitals.heard(Step)]


# Declaring


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"name": ""}, "the name of a journey must be 1 to 64 printable characters"),
        ({"name": " "}, "the name of a journey must be 1 to 64 printable characters"),
        ({"name": "other"}, "and not 'other'"),
        ({"name": "x" * 65}, "1 to 64 printable"),
        ({"name": 7}, "not 7"),
        ({"steps": []}, "journey 'order' needs at least one step"),
        ({"steps": "menu"}, "steps must be a list of names, not 'menu'"),
        ({"steps": None}, "steps must be a list of names, not None"),
        ({"steps": {"menu"}}, "steps must be a list of names, not {'menu'}"),
        ({"steps": ["menu", "me\nnu"]}, "the name of a step of journey 'order' must be"),
        ({"steps": ["menu", 3]}, "the name of a step of journey 'order' must be"),
        ({"steps": ["menu", "menu"]}, "names a step twice: menu, menu"),
        ({"completed_by": "payed"}, "completed_by must be one of its steps (menu, item, address, paid), not 'payed'"),
        ({"stalled_after": 0}, "times must rise"),
        ({"stalled_after": float("nan")}, "times must rise"),
        ({"stalled_after": 2 * DAY}, "times must rise"),
        ({"abandoned_after": 8 * DAY}, "times must rise"),
        ({"expires_after": 8 * DAY}, "at most 7 days"),
        ({"stalled_after": "1800"}, "times must be numbers of seconds"),
        ({"expires_after": None}, "times must be numbers of seconds"),
        ({"abandoned_after": True}, "times must be numbers of seconds"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_sentence(
    vitals: ListeningVitals, wrong: dict[str, Any], sentence: str
) -> None:
    """At declaration time, and nothing is declared then."""
    with pytest.raises(ValueError, match="journey") as caught:
        vitals.journey(**{"name": "order", "steps": STEPS, **wrong})
    assert sentence in str(caught.value)
    assert vitals.journeys == {}


def test_declaring_the_same_twice_gives_the_same_and_another_under_its_name_is_refused(
    vitals: ListeningVitals, order: Journey
) -> None:
    """Modules are imported twice in real life."""
    assert vitals.journey("order", tuple(STEPS), completed_by="paid") is order
    with pytest.raises(ValueError, match="journey 'order' is already declared with different settings"):
        vitals.journey("order", STEPS)


@pytest.mark.parametrize("wrong", ["payed", "", None, "other"])
def test_an_undeclared_step_raises_where_it_is_named(order: Journey, wrong: Any) -> None:
    """At decoration time and for `with`, with the steps that there are."""
    with pytest.raises(ValueError, match=r"journey 'order' has no step .*\. Its steps are menu, item, address, paid"):
        order.step(wrong)


@pytest.mark.parametrize("wrong", ["payed", "", None, 7, "menu\ud83d"])
def test_an_undeclared_step_is_other_at_run_time(vitals: ListeningVitals, order: Journey, wrong: Any) -> None:
    """Nothing of it is on a label, and the bot goes on."""
    order.reach(wrong, **WHO)
    assert vitals.total(REACHED, "order", "other") == 1
    assert vitals.total(REACHED) == 1


def test_steps_start_at_zero_and_show_their_order(vitals: ListeningVitals, order: Journey) -> None:
    """`increase` does not see a series that begins above 0."""
    order.reach("item", **WHO)
    vitals.later(11.0)
    text = render(vitals.collector)[0].decode()
    for index, step in enumerate(STEPS, 1):
        reached = 1.0 if step == "item" else 0.0
        assert (
            f'journey_step_reached_total{{journey="order",phone_number_id="{NUMBER}",step="{step}"}} {reached}' in text
        )
        assert f'journey_step_info{{index="{index}",journey="order",step="{step}"}} 1.0' in text


# Reaching and ending


def test_decorators_blocks_and_calls_reach_steps_in_the_context(vitals: ListeningVitals, order: Journey) -> None:
    """The same for functions, coroutines, methods and blocks."""

    @order.step("menu")
    def menu() -> None:
        order.reach("item")

    class Bot:
        @order.step("address")
        async def address(self) -> None:
            with order.step("paid"):
                pass

    with vitals.receive(item(user=USER)):
        menu()
        asyncio.run(Bot().address())
    assert steps(vitals) == [(NUMBER, PHONE, USER, step) for step in STEPS]
    assert vitals.total(catalogue.JOURNEY_RUNS, "order", "completed") == 1


def test_a_step_that_raises_is_reached_and_not_advanced(vitals: ListeningVitals, order: Journey) -> None:
    """The run stays in it, as decorator and as block, and the exception is the bot's own."""

    @order.step("item")
    def fail() -> None:
        raise LookupError("out of stock")

    with vitals.receive(item()):
        order.reach("menu")
        with pytest.raises(LookupError, match="out of stock"):
            fail()
        with pytest.raises(LookupError), order.step("address"):
            raise LookupError
    assert [vitals.total(REACHED, step) for step in STEPS] == [1, 1, 1, 0]
    assert vitals.total(catalogue.JOURNEY_RUNS_OPEN, "address") == 1
    assert vitals.total(catalogue.JOURNEY_RUNS) == 0


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (lambda journey: journey.complete(**WHO), "completed"),
        (lambda journey: journey.restart(**WHO), "restarted"),
        (lambda journey: journey.end("handed_over", **WHO), "handed_over"),
    ],
)
def test_code_ends_a_run(vitals: ListeningVitals, order: Journey, end: Any, outcome: str) -> None:
    """Once. Without an open run it does nothing, and the next step begins another run."""
    end(order)
    order.reach("menu", **WHO)
    vitals.time.advance(40.0)
    end(order)
    vitals.time.advance(1.0)
    end(order)
    order.reach("item", **WHO)
    assert vitals.total(catalogue.JOURNEY_RUNS, "order") == vitals.total(catalogue.JOURNEY_RUNS, outcome) == 1
    assert vitals.total(catalogue.JOURNEY_RUNS_STARTED, "order") == 2
    assert vitals.total(catalogue.JOURNEY_STEP_SECONDS, "menu", outcome, field=-1) == pytest.approx(40.0)
    assert vitals.total(catalogue.JOURNEY_STEP_ENDED) == vitals.total(catalogue.JOURNEY_STEP_ENDED, "menu") == 1


@pytest.mark.parametrize("wrong", ["abandoned_by_user", "expired", "", None, []])
def test_code_cannot_end_a_run_as_what_only_time_decides(vitals: ListeningVitals, order: Journey, wrong: Any) -> None:
    """It is counted and changes nothing."""
    order.reach("menu", **WHO)
    order.end(wrong, **WHO)
    assert vitals.heard(RunEnd) == []
    assert vitals.problems("journey") == 1


def test_each_journey_has_its_own_times_and_runs(vitals: ListeningVitals, order: Journey) -> None:
    """Two journeys of one contact end each on its own, as the author set it."""
    quick = vitals.journey("quick", ["ask"], stalled_after=60, abandoned_after=120, expires_after=600)
    for journey, step in ((order, "menu"), (quick, "ask")):
        journey.reach(step, **WHO)
    vitals.later(75.0)
    assert vitals.total(catalogue.JOURNEY_RUNS_STALLED, "quick") == 1
    vitals.later(60.0)
    assert vitals.total(catalogue.JOURNEY_RUNS, "quick", "abandoned_by_user") == 1
    assert vitals.total(catalogue.JOURNEY_STEP_DROPPED, "ask", "abandoned_by_user") == 1
    assert vitals.total(catalogue.JOURNEY_RUNS_STALLED) == 0
    assert vitals.total(catalogue.JOURNEY_RUNS_OPEN, "order", "menu") == 1


def test_a_run_that_never_falls_silent_expires(vitals: ListeningVitals) -> None:
    """The hard cap counts from the run's start."""
    short = vitals.journey("short", ["ask"], stalled_after=60, abandoned_after=120, expires_after=200)
    for _ in range(4):
        short.reach("ask", **WHO)
        vitals.later(60.0)
    assert vitals.total(catalogue.JOURNEY_RUNS, "short", "expired") == 1
    assert vitals.total(catalogue.JOURNEY_STEP_LOOPS, "ask") == 1
    assert vitals.total(catalogue.JOURNEY_STEP_DROPPED) == 0


# Whose


def test_without_any_contact_it_is_counted_and_does_not_raise(
    vitals: ListeningVitals, order: Journey, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says once a minute what to give."""
    order.step("menu")(lambda *_: None)("no", {"con": "tact"}, object())
    with order.step("menu"):
        order.reach("menu")
    order.complete()
    order.reach("what the customer wrote", contact=PHONE)
    order.end("what the customer wrote")  # type: ignore[arg-type]
    assert vitals.problems("no_contact") == 5
    assert steps(vitals) == []
    assert "step 'menu' of journey 'order' could not tell which contact it is about" in caplog.text
    assert PHONE not in caplog.text
    assert "customer wrote" not in caplog.text


@pytest.mark.parametrize("wrong", [b"39333", object(), [PHONE], True])
def test_a_contact_that_is_no_id_is_no_contact(vitals: ListeningVitals, order: Journey, wrong: Any) -> None:
    """Not even that of the context: the code named somebody else."""
    with vitals.receive(item()):
        order.reach("menu", contact=wrong, phone_number_id=NUMBER)
    assert vitals.problems("no_contact") == 1
    assert steps(vitals) == []


def test_ids_that_are_numbers_are_taken(vitals: ListeningVitals, order: Journey) -> None:
    """Databases hold them so."""
    order.reach("menu", contact=int(PHONE), phone_number_id=int(NUMBER))  # type: ignore[arg-type]
    assert steps(vitals) == [(NUMBER, PHONE, "", "menu")]


def test_calls_of_one_moment_keep_their_order(vitals: ListeningVitals, order: Journey) -> None:
    """A clock may tick every 16 ms. What the code said first was first."""
    for _ in range(3):
        order.restart(**WHO)
        order.reach("menu", **WHO)
        order.reach("item", **WHO)
    assert vitals.total(catalogue.JOURNEY_RUNS, "restarted") == 2
    assert vitals.total(catalogue.JOURNEY_STEP_VISITS, "menu") == vitals.total(REACHED, "menu") == 3
    assert vitals.total(catalogue.JOURNEY_STEP_ENDED, "item") == 2
    assert vitals.total(catalogue.JOURNEY_RUNS_OPEN, "item") == 1


def test_a_clock_that_is_set_back_is_believed(vitals: ListeningVitals, order: Journey) -> None:
    """Only readings that are as good as one are moved apart."""
    order.reach("menu", **WHO)
    vitals.time.advance(-5.0)
    order.reach("item", **WHO)
    first, second = vitals.heard(Step)
    assert first.received - second.received == 5.0


def test_a_named_contact_goes_before_the_one_of_the_context(vitals: ListeningVitals, order: Journey) -> None:
    """Phone or business-scoped id. The number is that of the context where it is not given."""
    with vitals.receive(item()):
        order.reach("menu", contact=OTHER_PHONE)
        order.reach("menu", contact=USER, phone_number_id="1")
    assert steps(vitals) == [(NUMBER, OTHER_PHONE, "", "menu"), ("1", "", USER, "menu")]


def test_the_number_of_the_settings_is_the_last_resort() -> None:
    """A bot with one number need not name it."""
    vitals = ListeningVitals(phone_number_id=["77", "78"])
    vitals.journey("order", STEPS).reach("menu", contact=PHONE)
    assert steps(vitals) == [("77", PHONE, "", "menu")]


def test_in_a_batch_the_arguments_decide(vitals: ListeningVitals, order: Journey) -> None:
    """Positional or by keyword. The context adds the ids that the argument does not show."""
    handle: Any = order.step("menu")(lambda *_, **__: None)
    first, second = item(user=USER), item(OTHER_PHONE)
    with vitals.receive(first, second):
        handle("bot", second)
        handle(message={"from_user_id": USER})
        order.reach("item", contact=OTHER_PHONE)
        handle("nobody")
    assert steps(vitals) == [
        (NUMBER, OTHER_PHONE, "", "menu"),
        (NUMBER, PHONE, USER, "menu"),
        (NUMBER, OTHER_PHONE, "", "item"),
    ]
    assert vitals.problems("no_contact") == 1


@pytest.mark.parametrize("depth", ["body", "entry", "change", "value"])
def test_background_work_is_known_by_the_plain_webhook(vitals: ListeningVitals, order: Journey, depth: str) -> None:
    """A worker that was handed the JSON knows whose it is, as long as it is of one person."""
    given: Any = webhook(item(user=USER), item(user=USER, name="again"))
    if depth != "body":
        given = given["entry"][0]
    if depth in {"change", "value"}:
        given = given["changes"][0]
    order.step("menu")(lambda _: None)(given["value"] if depth == "value" else given)
    assert steps(vitals) == [(NUMBER, PHONE, USER, "menu")]


def test_a_plain_webhook_of_several_people_names_nobody(vitals: ListeningVitals, order: Journey) -> None:
    """Guessing would be wrong."""
    order.step("menu")(lambda _: None)(webhook(item(), item(OTHER_PHONE)))
    assert vitals.problems("no_contact") == 1


@pytest.mark.parametrize("path", sorted(PAYLOADS.glob("messages__*.json")), ids=lambda path: path.stem)
def test_any_payload_as_an_argument_is_harmless(vitals: ListeningVitals, order: Journey, path: Path) -> None:
    """Whatever Meta sends, and whatever part of it the bot passes on."""
    pending: list[Any] = [json.loads(path.read_text())]
    while pending:
        part = pending.pop()
        order.step("menu")(lambda _: None)(part)
        pending += part.values() if isinstance(part, dict) else part if isinstance(part, list) else []
    assert all(event.wa_id or event.user_id for event in vitals.heard(Step))


@dataclass
class User:
    """As pywa's."""

    wa_id: str | None
    bsuid: str | None


@dataclass
class Metadata:
    """As pywa's."""

    phone_number_id: str


@dataclass
class Update:
    """As pywa's updates, which it hands to callbacks after its client."""

    from_user: User
    metadata: Metadata


@pytest.mark.parametrize(("phone", "user"), [(PHONE, USER), (PHONE, None), (None, USER)])
def test_an_update_of_pywa_names_its_contact(
    vitals: ListeningVitals, order: Journey, phone: str | None, user: str | None
) -> None:
    """With phone, business-scoped id or both, on whatever thread it is handled."""
    order.step("menu")(lambda client, update: None)(object(), Update(User(phone, user), Metadata(NUMBER)))
    assert steps(vitals) == [(NUMBER, phone or "", user or "", "menu")]


def test_an_update_without_any_id_names_nobody(vitals: ListeningVitals, order: Journey) -> None:
    """As a system message may be."""
    order.step("menu")(lambda update: None)(Update(User(None, None), Metadata(NUMBER)))
    assert vitals.problems("no_contact") == 1
