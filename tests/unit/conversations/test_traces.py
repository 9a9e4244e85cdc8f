"""Traces in a contact's state: what is open leads back to its webhook, and nothing is kept longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.events import Message, Send, Step
from chatvitals.metrics import catalogue
from chatvitals.pipeline import exemplars
from chatvitals.runtime import spans
from tests.helpers.single_worker import EPOCH, NUMBER, PHONE, World

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from tests.helpers.tracing import Traced


def trace(traced: Traced, name: str) -> bytes:
    with traced.tracer.start_as_current_span(name) as span:
        return spans.packed(span)


def hears(world: World, t: float, name: str, context: bytes) -> None:
    message = Message(phone_number_id=NUMBER, wa_id=PHONE, id=name, type="text", timestamp=int(EPOCH + t))
    message.trace = context
    world.tell(t, message)


def sends(world: World, t: float, name: str, context: bytes) -> None:
    world.tell(t, Send(phone_number_id=NUMBER, wa_id=PHONE, id=name, kind="reply", accepted=True, trace=context))


def seconds(span: ReadableSpan) -> tuple[float, float]:
    """Return start and end of a span, in seconds since the epoch of the tests."""
    assert span.start_time is not None
    assert span.end_time is not None
    return span.start_time / 1e9 - EPOCH, span.end_time / 1e9 - EPOCH


def test_a_settled_turn_is_a_span_of_its_first_webhook_s_trace(traced: Traced) -> None:
    """It lasts as long as the customer waited, and links to the reply."""
    world = World()
    first, second, reply = (trace(traced, name) for name in ("webhook 1", "webhook 2", "reply"))
    hears(world, 1, "m1", first)
    hears(world, 3, "m2", second)
    sends(world, 7, "r1", reply)
    world.at(60)
    turn = traced.span("turn")
    assert turn.parent is not None
    assert turn.parent.span_id == traced.span("webhook 1").context.span_id
    assert [link.context.span_id for link in turn.links] == [traced.span("reply").context.span_id]
    assert seconds(turn) == (1, 7)
    assert dict(turn.attributes or {}) == {
        "chatvitals.phone_number_id": NUMBER,
        "chatvitals.turn": "first",
        "chatvitals.outcome": "answered",
    }


def test_an_unanswered_turn_is_a_span_up_to_its_deadline(traced: Traced) -> None:
    """Nothing else in the trace shows that nobody came."""
    world = World()
    hears(world, 1, "m1", trace(traced, "webhook"))
    world.at(90_000)
    turn = traced.span("turn")
    assert seconds(turn) == (1, 86_401)
    assert (turn.attributes or {})["chatvitals.outcome"] == "unanswered"


def test_nothing_of_a_trace_is_kept_once_it_is_over(traced: Traced) -> None:
    """States stay small."""
    world = World()
    hears(world, 1, "m1", trace(traced, "webhook"))
    sends(world, 2, "r1", trace(traced, "reply"))
    assert [len(contact.traces) for contact in world.contacts()] == [2]
    hears(world, 30, "m2", b"")
    world.at(60)
    assert [contact.traces for contact in world.contacts()] == [{}]


def test_messages_without_a_trace_leave_no_span(traced: Traced) -> None:
    """A bot that traces nothing gets no traces of one span each."""
    world = World()
    world.hears(1, "m1")
    world.sends(2, "r1")
    world.at(60)
    assert traced.spans == ()


def test_a_long_burst_keeps_the_traces_of_its_first_messages(traced: Traced) -> None:
    """The state is bounded, and the first one is the one that counts."""
    world = World()
    first = trace(traced, "webhook")
    for index in range(40):
        hears(world, 1 + index / 10, f"m{index}", first)
    assert [len(contact.traces) for contact in world.contacts()] == [16]
    sends(world, 9, "r1", b"")
    world.at(60)
    assert traced.span("turn").parent is not None


def test_each_bucket_s_latest_observation_is_kept_as_an_exemplar(traced: Traced) -> None:
    """At most one for each bucket of a number's family, whatever the other labels say."""
    world = World()
    for index in range(5):
        at = 1 + 100.0 * index
        hears(world, at, f"m{index}", trace(traced, f"webhook {index}"))
        sends(world, at + 3, f"r{index}", trace(traced, f"reply {index}"))
        world.at(at + 60)
    world.at(1000)
    kept = exemplars.decode(world.store.document(exemplars.DOCUMENT))
    waits = {cell: found for cell, found in kept.items() if cell[0] == catalogue.WAIT_SECONDS.name}
    [(cell, found)] = waits.items()
    assert cell == (catalogue.WAIT_SECONDS.name, (NUMBER, "next", ""), 3)
    assert (found.value, found.at) == (3.0, EPOCH + 404)
    assert spans.span_id(found.trace) == f"{traced.span('webhook 4').context.span_id:016x}"


def test_the_document_of_exemplars_is_written_once_in_ten_seconds(traced: Traced) -> None:
    """Not with each batch: it is of tens of kilobytes in a large fleet."""
    world = World()
    hears(world, 1, "m1", trace(traced, "webhook"))
    sends(world, 2, "r1", trace(traced, "reply"))
    world.at(15)
    first = world.store.document(exemplars.DOCUMENT)
    assert first is not None
    hears(world, 16, "m2", trace(traced, "webhook 2"))
    sends(world, 17, "r2", trace(traced, "reply 2"))
    world.at(17.5)
    assert world.store.document(exemplars.DOCUMENT) == first
    world.at(40)
    assert world.store.document(exemplars.DOCUMENT) != first


def test_exemplars_of_two_workers_lie_in_one_document(traced: Traced) -> None:
    """A worker takes none of the other's away."""
    one = World()
    two = World(one.store)
    hears(one, 1, "m1", trace(traced, "webhook"))
    sends(one, 2, "r1", b"")
    one.at(20)
    other = Message(phone_number_id="22", wa_id=PHONE, id="n1", type="text", timestamp=EPOCH + 21)
    other.trace = trace(traced, "webhook 2")
    two.tell(21, other)
    two.tell(22, Send(phone_number_id="22", wa_id=PHONE, id="s1", kind="reply", accepted=True))
    two.at(60)
    kept = exemplars.decode(one.store.document(exemplars.DOCUMENT))
    assert {labels[0] for _, labels, _ in kept} == {NUMBER, "22"}


def test_a_turn_is_a_span_of_the_first_webhook_with_a_trace(traced: Traced) -> None:
    """A proxy may trace some webhooks alone."""
    world = World()
    hears(world, 1, "m1", b"")
    hears(world, 3, "m2", trace(traced, "webhook 2"))
    sends(world, 7, "r1", b"")
    world.at(60)
    turn = traced.span("turn")
    assert turn.parent is not None
    assert turn.parent.span_id == traced.span("webhook 2").context.span_id
    assert seconds(turn) == (1, 7)


def test_the_trace_of_a_reply_alone_makes_no_span_of_the_turn(traced: Traced) -> None:
    """A turn belongs to the trace of its webhook."""
    world = World()
    hears(world, 1, "m1", b"")
    sends(world, 7, "r1", trace(traced, "reply"))
    world.at(60)
    assert [span.name for span in traced.spans] == ["reply"]
    assert world.ended() == {"answered": 1}


def test_a_span_of_a_turn_names_the_step_of_the_latest_run(traced: Traced) -> None:
    """A slow answer then shows at which question it came."""
    world = World()
    hears(world, 1, "m1", trace(traced, "webhook"))
    step = Step(phone_number_id=NUMBER, wa_id=PHONE, journey="order", step="size", completes=False,
                stalled_after=60.0, abandoned_after=120.0, expires_after=600.0)  # fmt: skip
    world.tell(2, step)
    sends(world, 7, "r1", b"")
    world.at(60)
    attributes = traced.span("turn").attributes or {}
    assert attributes["chatvitals.journey"] == "order"
    assert attributes["chatvitals.step"] == "size"


def test_the_trace_of_an_open_turn_is_kept_while_another_message_waits(traced: Traced) -> None:
    """Traces of ended turns are deleted whenever something settles."""
    world = World()
    hears(world, 1, "m1", trace(traced, "webhook"))
    world.at(30)
    hears(world, 40, "m2", b"")
    world.at(41)
    assert [len(contact.traces) for contact in world.contacts()] == [1]
    sends(world, 50, "r1", b"")
    world.at(100)
    assert traced.span("turn").parent is not None
    assert [len(contact.traces) for contact in world.contacts()] == [0]
