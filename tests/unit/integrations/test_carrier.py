"""Contacts that tasks carry, where two `Vitals` with stores of their own live in one process."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from celery import signals

from chatvitals import context
from chatvitals.context import ContactIds, Handling
from chatvitals.integrations import celery as celery_carrying
from chatvitals.integrations._carrier import KEY, Carrier
from chatvitals.settings import Settings
from chatvitals.stores.memory import MemoryStore
from chatvitals.testing.clock import FakeClock
from chatvitals.vitals import Vitals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ADA, BEN = ContactIds("1", "393331234567", ""), ContactIds("1", "393337654321", "")


@pytest.fixture
def make() -> Iterator[Callable[[], Vitals]]:
    """What makes a `Vitals` with a store of its own."""
    made: list[Vitals] = []

    def make() -> Vitals:
        settings = Settings.load({"store": "memory:", "hooks": False}, environ={})
        made.append(Vitals(settings, store=MemoryStore(), clock=FakeClock(1_700_000_000.0), background=False))
        return made[-1]

    yield make
    for vitals in made:
        vitals.close()


def sealed(carrier: Carrier, contact: ContactIds, before: object = None) -> str:
    """Return the text of a task that is sent while a contact's message is handled."""
    with context.bound(Handling((contact,))):
        text = carrier.sealed(before)
    assert text is not None
    return text


def publish() -> dict[str, Any]:
    """Return the headers of a task of Celery that is sent now."""
    headers: dict[str, Any] = {}
    signals.before_task_publish.send(sender="task", headers=headers)
    return headers


def run(headers: dict[str, Any]) -> tuple[tuple[ContactIds, ...], tuple[ContactIds, ...]]:
    """Run a task of Celery. Return the contacts within it and after it."""
    task = SimpleNamespace(request=headers, app=None)
    signals.task_prerun.send(sender="task", task_id="t1", task=task)
    within = context.handled()
    signals.task_postrun.send(sender="task", task_id="t1", task=task)
    return within, context.handled()


def test_20_each_store_reads_its_own_part(make: Callable[[], Vitals]) -> None:
    """The part of the first store stays when the second one adds its own."""
    first, second = Carrier(make(), "celery"), Carrier(make(), "celery")
    text = sealed(second, ADA, sealed(first, ADA))
    for carrier in (first, second):
        carrier.begin("t1", text)
        assert context.handled() == (ADA,)
        carrier.end("t1")
        assert context.handled() == ()


def test_20_a_task_that_is_sent_again_does_not_grow(make: Callable[[], Vitals]) -> None:
    """A store's newer part replaces its older one."""
    first, second = Carrier(make(), "celery"), Carrier(make(), "celery")
    once = sealed(second, ADA, sealed(first, ADA))
    again = sealed(second, BEN, sealed(first, BEN, once))
    assert len(again) == len(once)
    first.begin("t1", again)
    assert context.handled() == (BEN,)
    first.end("t1")


@pytest.mark.parametrize("text", ["", "garbage", "a b c d e f", 7, None, b"x", ["x"]])
def test_20_other_texts_of_a_task_harm_nobody(make: Callable[[], Vitals], text: object) -> None:
    """Another tool may use the same header."""
    carrier = Carrier(make(), "celery")
    assert not carrier.has_part(text)
    carrier.begin("t1", sealed(carrier, ADA, text))
    assert context.handled() == (ADA,)
    carrier.end("t1")


def test_20_two_vitals_share_the_tasks_of_celery(make: Callable[[], Vitals]) -> None:
    """Whichever is first, the task knows its contact, and the next task does not."""
    for vitals in (make(), make()):
        celery_carrying.instrument(vitals)
    with context.bound(Handling((ADA,))):
        headers = publish()
    assert len(headers[KEY].split()) == 2
    assert run(headers) == ((ADA,), ())


@pytest.mark.parametrize("place", [0, 1])
def test_20_a_worker_with_one_of_the_stores_is_enough(make: Callable[[], Vitals], place: int) -> None:
    """The web process has two bots, and each has its own worker."""
    both = make(), make()
    undo = [celery_carrying.instrument(vitals) for vitals in both]
    with context.bound(Handling((ADA,))):
        headers = publish()
    undo[1 - place]()
    assert run(headers) == ((ADA,), ())
