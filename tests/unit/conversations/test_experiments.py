"""Rules of conversations/README.md 7: outcomes of contacts that have seen a variant count once each."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatvitals.events import Send
from chatvitals.metrics import catalogue
from tests.helpers.recorded_events import NUMBER, PHONE, USER, ListeningVitals, item, webhook

DAY = 86_400.0
CONTACTS, OUTCOMES = catalogue.EXPERIMENT_CONTACTS, catalogue.EXPERIMENT_OUTCOMES


@pytest.fixture
def vitals() -> ListeningVitals:
    """A Vitals to listen to."""
    return ListeningVitals()


class Heard:
    """What may come to a contact, each with what it counts as."""

    def __init__(self, vitals: ListeningVitals) -> None:
        self.vitals = vitals
        self.order = vitals.journey("order", ["menu", "paid"], completed_by="paid")
        self.greeting = vitals.experiment("greeting", {"plain": 1}, goal=self.order)
        self.number = 0

    def expose(self, contact: str = PHONE) -> None:
        """Ask for the contact's variant."""
        assert self.greeting.variant(contact=contact, phone_number_id=NUMBER) == "plain"

    def message(self) -> None:
        """Receive a message."""
        self.number += 1
        self.vitals.receive(item(PHONE, USER, name=f"m{self.number}", at=self.vitals.time.now))

    def goal(self) -> None:
        """Complete the journey."""
        self.order.reach("paid", contact=PHONE, phone_number_id=NUMBER)

    def opt_out(self) -> None:
        """Receive that the contact stops marketing."""
        self.number += 1
        body: Any = webhook()
        preference = {"wa_id": PHONE, "category": "marketing_messages", "value": "stop", "detail": "x"}
        change = body["entry"][0]["changes"][0]
        change["field"] = "user_preferences"
        change["value"]["user_preferences"] = [preference | {"timestamp": int(self.vitals.time.now)}]
        self.vitals.observe_webhook(json.dumps(body).encode())

    def unanswered(self) -> None:
        """Leave a message without an answer for a day."""
        self.message()
        self.vitals.later(DAY + 11.0)

    def send_failed(self) -> None:
        """Have a reply refused."""
        self.number += 1
        self.vitals._emit(
            Send(
                phone_number_id=NUMBER,
                wa_id=PHONE,
                received=self.vitals.time.now,
                kind="reply",
                accepted=False,
                code="131047",
            )
        )

    def failed_later(self) -> None:
        """Have an accepted message fail."""
        self.number += 1
        body: Any = webhook()
        status = {
            "id": f"wamid.f{self.number}",
            "status": "failed",
            "recipient_id": PHONE,
            "errors": [{"code": 131049}],
        }
        value = body["entry"][0]["changes"][0]["value"]
        value["statuses"] = [status | {"timestamp": str(int(self.vitals.time.now))}]
        self.vitals.observe_webhook(json.dumps(body).encode())

    def handover(self) -> None:
        """Hand over, in a conversation of its own."""
        for name in (self.vitals.resolve, self.message, self.vitals.handover):
            name(**({} if name == self.message else {"contact": PHONE, "phone_number_id": NUMBER}))
            self.vitals.later(1.0)


@pytest.mark.parametrize(
    ("what", "outcome"),
    [
        ("goal", "goal"),
        ("opt_out", "opt_out"),
        ("unanswered", "unanswered"),
        ("send_failed", "send_failed"),
        ("failed_later", "send_failed"),
        ("handover", "handover"),
    ],
)
def test_an_outcome_counts_once_and_after_the_exposure_only(vitals: ListeningVitals, what: str, outcome: str) -> None:
    """The unit is the contact: what came before is not the variant's doing, and a second one adds nothing."""
    told = Heard(vitals)
    happen = getattr(told, what)
    told.message()  # it shows both ids
    vitals.record_reply(contact=USER, phone_number_id=NUMBER)
    vitals.later(20.0)
    happen()
    vitals.later(20.0)
    assert vitals.total(OUTCOMES) == 0
    told.expose()
    vitals.later(20.0)
    assert vitals.total(OUTCOMES) == 0
    for _ in range(3):
        told.expose(USER)
        happen()
        vitals.later(20.0)
    assert vitals.total(OUTCOMES, "greeting", "plain", outcome) == vitals.total(OUTCOMES) == 1
    assert vitals.total(CONTACTS) == 1


def test_only_the_journey_of_the_goal_is_the_goal(vitals: ListeningVitals) -> None:
    """Another one that is completed says nothing about it."""
    told = Heard(vitals)
    told.expose()
    vitals.journey("other one", ["paid"], completed_by="paid").reach("paid", contact=PHONE, phone_number_id=NUMBER)
    assert vitals.total(OUTCOMES) == 0
    told.order.reach("menu", contact=PHONE, phone_number_id=NUMBER)
    told.order.complete(contact=PHONE, phone_number_id=NUMBER)
    assert vitals.total(OUTCOMES, "goal") == 1


@pytest.mark.parametrize("end", ["restarted", "handed_over"])
def test_a_journey_that_ends_otherwise_is_no_goal(vitals: ListeningVitals, end: Any) -> None:
    """Only a completed run is."""
    told = Heard(vitals)
    told.expose()
    told.order.reach("menu", contact=PHONE, phone_number_id=NUMBER)
    told.order.end(end, contact=PHONE, phone_number_id=NUMBER)
    assert vitals.total(catalogue.JOURNEY_RUNS, end) == 1
    assert vitals.total(OUTCOMES) == 0


def test_the_wait_without_an_answer_lies_in_the_endless_bucket_alone() -> None:
    """However soon the bot's author gives a turn up: an outage must not make waits look short."""
    vitals = ListeningVitals(unanswered_after=60.0, overdue_after=[10.0])
    told = Heard(vitals)
    told.expose()
    told.message()
    vitals.later(80.0)
    wait = catalogue.EXPERIMENT_WAIT
    assert vitals.total(wait, field=len(wait.buckets)) == 1
    assert [vitals.total(wait, field=index) for index in range(len(wait.buckets))] == [0] * len(wait.buckets)


def test_the_wait_of_a_turn_that_ends_after_the_exposure_counts(vitals: ListeningVitals) -> None:
    """Answered in its bucket, unanswered in +Inf alone. What ended before does not."""
    told = Heard(vitals)
    told.message()
    vitals.time.advance(3.0)
    vitals.record_reply(contact=PHONE, phone_number_id=NUMBER)
    vitals.later(20.0)
    told.message()
    vitals.time.advance(1.0)
    told.expose()
    vitals.time.advance(2.0)
    vitals.record_reply(contact=PHONE, phone_number_id=NUMBER)
    vitals.later(20.0)
    told.unanswered()
    wait = catalogue.EXPERIMENT_WAIT
    buckets = [vitals.total(wait, "greeting", "plain", field=index) for index in range(len(wait.buckets) + 1)]
    assert buckets == [0, 0, 0, 1, *[0] * 10, 1]
    assert vitals.total(wait, field=-1) == pytest.approx(3.0 + DAY, abs=0.01)
