"""Identity: keyed hashes, no raw ids in the store, and merges that neither lose nor invent anything."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvitals.conversations import identity, message_log
from chatvitals.conversations.identity import Hasher
from chatvitals.conversations.state import OPEN, ContactState, Evidence, Exposure, Item, Kind, Run, Turn
from chatvitals.events import IdentityChange, Message, Send, Status
from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import Measurements
from tests.helpers.single_worker import EPOCH, NUMBER, PHONE, USER, World

if TYPE_CHECKING:
    from chatvitals.events import PersonEvent

KEY = b"0123456789abcdef"
OTHER_PHONE = "15550009999"


def message(phone: str = PHONE, user: str = "", *, number: str = NUMBER) -> Message:
    return Message(phone_number_id=number, wa_id=phone, user_id=user, id="wamid.1", type="text")


def test_hashes_are_keyed() -> None:
    """With another key the same person has another hash, so nobody can look phone numbers up in a table."""
    one, two = Hasher(KEY), Hasher(KEY[::-1])
    assert one.person(NUMBER, PHONE) != two.person(NUMBER, PHONE)
    assert one.message("wamid.1") != two.message("wamid.1")
    assert one.person(NUMBER, PHONE) == Hasher(KEY).person(NUMBER, PHONE)


def test_a_person_on_two_business_numbers_is_two_contacts() -> None:
    """The business number is part of the key."""
    hasher = Hasher(KEY)
    assert hasher.person("1", PHONE) != hasher.person("2", PHONE)
    assert hasher.person("1", "23") != hasher.person("12", "3")


def test_a_message_and_a_person_of_one_text_have_different_hashes() -> None:
    """Keys of messages and of people are separate worlds."""
    hasher = Hasher(KEY)
    assert hasher.message(f"{NUMBER}\0{PHONE}") != hasher.person(NUMBER, PHONE)


def test_hashes_fit_sqlite_s_integers() -> None:
    """They are 64-bit integers with a sign."""
    hasher = Hasher(KEY)
    hashes = [hasher.message(str(i)) for i in range(200)]
    assert all(-(2**63) <= value < 2**63 for value in hashes)
    assert min(hashes) < 0 < max(hashes)
    assert len(set(hashes)) == 200


@pytest.mark.parametrize("written", ["+1 555 000-4321", "1.555.000.4321", "(1555) 0004321", "1555000/4321"])
def test_a_phone_number_is_known_however_it_is_written(written: str) -> None:
    """Bots send to numbers as people write them. Webhooks give digits."""
    hasher = Hasher(KEY)
    assert hasher.keys(message(written)) == hasher.keys(message(PHONE))


def test_the_business_scoped_id_comes_first_and_the_phone_is_its_alias() -> None:
    """Either alone leads to one of the two keys."""
    hasher = Hasher(KEY)
    both = hasher.keys(message(PHONE, USER))
    assert both == (hasher.person(NUMBER, USER), hasher.person(NUMBER, PHONE))
    assert hasher.keys(message("", USER)) == both[:1]
    assert hasher.keys(message(PHONE)) == both[1:]
    assert hasher.keys(message(PHONE, USER)) == both


def test_statuses_that_name_nobody_belong_with_those_of_their_message() -> None:
    """Without any person id, the message stands for its recipient."""
    hasher = Hasher(KEY)

    def status(name: str) -> Status:
        return Status(phone_number_id=NUMBER, id=name, status="sent")

    assert hasher.keys(status("wamid.1")) == hasher.keys(status("wamid.1"))
    assert hasher.keys(status("wamid.1")) != hasher.keys(status("wamid.2"))
    assert hasher.keys(status("wamid.1")) != hasher.keys(message(PHONE))


def test_many_people_do_not_make_the_hasher_grow() -> None:
    """Its cache is bounded."""
    hasher = Hasher(KEY)
    for index in range(identity._KEYS_KEPT + 10):
        hasher.keys(message(str(index)))
    assert len(hasher._keys) <= identity._KEYS_KEPT


def test_many_messages_do_not_make_the_hasher_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """It forgets hashes that it can compute again."""
    monkeypatch.setattr(identity, "_KEYS_KEPT", 100)
    hasher = Hasher(KEY)
    first = [hasher.message(f"wamid.{index}") for index in range(250)]
    assert len(hasher._messages) <= 100
    assert [hasher.message(f"wamid.{index}") for index in range(250)] == first


def test_nothing_that_is_kept_holds_an_id_of_a_person_or_a_message() -> None:
    """States, links and cells hold hashes only, in any phase of a conversation."""
    world = World()
    rows: list[bytes] = []
    events: list[PersonEvent] = [
        message(PHONE, USER),
        Send(
            phone_number_id=NUMBER,
            wa_id=PHONE,
            kind="reply",
            accepted=True,
            id="wamid.2",
            template="hello",
            language="en",
        ),
        Status(phone_number_id=NUMBER, user_id=USER, id="wamid.2", status="sent", category="utility"),
        Status(phone_number_id=NUMBER, id="wamid.9", status="failed", code="131049"),
        IdentityChange(phone_number_id=NUMBER, wa_id=PHONE, new_wa_id=OTHER_PHONE, new_user_id="US.7777777777"),
    ]
    for t, event in enumerate(events):
        world.tell(float(t), event)
        rows += [row for row in world.store._rows.values() if isinstance(row, bytes)]  # type: ignore[attr-defined]
    kept = b"".join(rows) + repr(world.store.cells()).encode()
    for personal in (PHONE, OTHER_PHONE, USER, "US.7777777777", "wamid"):
        assert personal.encode() not in kept
    assert b"hello" in kept


def test_a_changed_number_leads_to_the_same_contact() -> None:
    """Both ids belong to one contact afterwards, whichever message uses which."""
    world = World()
    world.hears(0, "m1")
    change = IdentityChange(phone_number_id=NUMBER, wa_id=PHONE, new_wa_id=OTHER_PHONE)
    world.tell(20, change)
    world.hears(21, "m2", wa_id=OTHER_PHONE)
    world.at(40)
    assert world.count(catalogue.CONVERSATIONS_STARTED) == 1
    assert world.count(catalogue.TURNS_OPENED) == 1
    assert len(world.contacts()) == 1


def test_a_reply_to_the_id_for_linked_portfolios_answers_the_turn() -> None:
    """Each of their accounts may send to this id, and its statuses name the person's other ids."""
    world = World()
    parent = "US.ENT.77"
    world.tell(0, IdentityChange(phone_number_id=NUMBER, wa_id=PHONE, user_id=USER, new_user_id=parent))
    world.hears(0, "m1")
    world.tell(2, Send(phone_number_id=NUMBER, user_id=parent, kind="reply", accepted=True, id="wamid.r"))
    world.tell(3, Status(phone_number_id=NUMBER, wa_id=PHONE, user_id=USER, id="wamid.r", status="sent"))
    world.at(40)
    assert world.count(catalogue.TURNS, "answered") == 1
    assert len(world.contacts()) == 1


# Merges

TIMES = st.floats(EPOCH, EPOCH + 1000)
NAMES = st.sampled_from(["a", "b", "c"])


@st.composite
def contacts(draw: st.DrawFn) -> ContactState:
    """Draw a contact in any state that the reducer could have left it in."""
    starts = sorted(draw(st.lists(TIMES, max_size=3)))
    turns = [Turn(start=start, second=int(start), last=start, label=0, hours=0) for start in starts]
    ended: bool = draw(st.booleans())
    if turns and ended:
        turns[-1].outcome = 1
    contact = ContactState(phone_number_id=NUMBER, turns=turns, last_message_at=starts[-1] if starts else 0.0)
    contact.set_handovers([(at, draw(st.integers(0, 2))) for at in draw(st.lists(TIMES, max_size=2))])
    contact.pending = [Item(Kind.DISMISS, at, at) for at in draw(st.lists(TIMES, max_size=3))]
    contact.runs = tuple(
        Run(journey=name, step="s", started=EPOCH, entered=EPOCH, active=EPOCH, stalled_after=1.0,
            abandoned_after=2.0, expires_after=3.0)
        for name in draw(st.lists(NAMES, max_size=2, unique=True))
    )  # fmt: skip
    contact.exposures = tuple(Exposure(name, "v", "") for name in draw(st.lists(NAMES, max_size=3, unique=True)))
    for index, name in enumerate(draw(st.lists(NAMES, max_size=3, unique=True)), 1):
        contact.templates += ((name, "en"),)
        record = message_log.Record(draw(st.integers(0, 20)), EPOCH)
        record.template = index
        if message_log.find_record(contact.records, record.key) is None:
            contact.records = message_log.put_record(contact.records, record)
    contact.seen = message_log.add_seen(b"", draw(st.integers(0, 20)), EPOCH)
    contact.last_received_at = draw(TIMES)
    contact.last_reply_at = draw(TIMES)
    return contact


def opened(*several: ContactState) -> Counter[float]:
    return Counter(turn.start for contact in several for turn in contact.turns if turn.outcome == OPEN)


def templates(contact: ContactState) -> dict[int, tuple[str, str]]:
    found = ((key, message_log.find_record(contact.records, key)) for key in range(21))
    return {key: contact.templates[record.template - 1] for key, record in found if record and record.template}


@given(contacts(), contacts())
def test_a_merge_keeps_everything_that_is_open(one: ContactState, two: ContactState) -> None:
    """Gauges count open turns, handovers and runs, so none may vanish or appear."""
    expected_turns = opened(one, two)
    handovers = Counter([*one.open_handovers(), *two.open_handovers()])
    runs = Counter(run.journey for run in [*one.runs, *two.runs])
    measures = Measurements()
    pending = len(one.pending) + len(two.pending)
    identity.merge(one, two, measures)
    assert opened(one) == expected_turns
    assert Counter(one.open_handovers()) == handovers
    assert {run.journey for run in one.runs} == set(runs)
    assert len({run.journey for run in one.runs}) == len(one.runs)
    restarted = sum(v for (name, _, _), v in measures.increments.items() if name == catalogue.JOURNEY_RUNS.name)
    assert len(one.runs) + restarted == runs.total()
    assert len(one.pending) == pending
    assert [turn.start for turn in one.turns] == sorted(turn.start for turn in one.turns)


@given(contacts(), contacts())
def test_a_merge_remembers_what_either_knew(one: ContactState, two: ContactState) -> None:
    """Duplicates, records with their templates, exposures and the latest times of both."""
    named = templates(two) | templates(one)
    exposures = {exposure.experiment for exposure in [*one.exposures, *two.exposures]}
    touched, last, ended = (
        max(one.last_received_at, two.last_received_at),
        max(one.last_message_at, two.last_message_at),
        max(one.last_reply_at, two.last_reply_at),
    )
    ids = {key for key in range(21) for contact in (one, two) if message_log.has_seen(contact.seen, key)}
    identity.merge(one, two, Measurements())
    assert templates(one) == named
    assert {exposure.experiment for exposure in one.exposures} == exposures
    assert len(one.exposures) == len(exposures)
    assert (one.last_received_at, one.last_message_at, one.last_reply_at) == (touched, last, ended)
    assert all(message_log.has_seen(one.seen, key) for key in ids)


def test_a_merge_keeps_the_latest_preference_of_each_category() -> None:
    """An older choice that comes later then changes nothing, whichever contact knew the newer choice."""
    one, two = ContactState(phone_number_id=NUMBER), ContactState(phone_number_id=NUMBER)
    one.preferences, two.preferences = {"a": 5, "b": 9}, {"a": 7, "b": 2, "c": 3}
    identity.merge(one, two, Measurements())
    assert one.preferences == {"a": 7, "b": 9, "c": 3}


@pytest.mark.parametrize("richer_first", [False, True])
def test_a_merge_keeps_the_richest_evidence_of_a_reply_that_waits(richer_first: bool) -> None:  # noqa: FBT001 - a column
    """The call of the API and the status of one message may have met two contacts."""
    status = Item(Kind.REPLY, EPOCH + 3.0, EPOCH + 4.0, 1, EPOCH + 3, Evidence.STATUS)
    call = Item(Kind.REPLY, EPOCH + 2.5, EPOCH + 5.0, 1, EPOCH + 2, Evidence.API)
    one, two = ContactState(phone_number_id=NUMBER), ContactState(phone_number_id=NUMBER)
    one.pending, two.pending = ([call], [status]) if richer_first else ([status], [call])
    identity.merge(one, two, Measurements())
    assert one.pending == [call]


def test_a_merge_keeps_one_exposure_of_each_experiment_with_the_outcomes_of_both() -> None:
    """Each outcome counts once per contact, and this is one contact now."""
    one, two = ContactState(phone_number_id=NUMBER), ContactState(phone_number_id=NUMBER)
    one.exposures = (Exposure("greeting", "a", "", ("goal",)),)
    two.exposures = (Exposure("greeting", "b", "", ("goal", "handover")), Exposure("tone", "plain", ""))
    identity.merge(one, two, Measurements())
    assert [(each.experiment, each.variant) for each in one.exposures] == [("greeting", "a"), ("tone", "plain")]
    assert one.exposures[0].outcomes == ("goal", "handover")
