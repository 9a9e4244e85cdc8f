"""The series of numbers that nobody named are deleted with their last contact (tests/safety/README.md 66)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chatvitals.events import Poll, Webhook
from chatvitals.exporters.snapshot import SnapshotReader
from chatvitals.metrics import catalogue
from chatvitals.pipeline.unused_numbers import UnusedNumbers, delete_unused
from chatvitals.runtime.error_guard import ErrorGuard
from chatvitals.settings import Settings
from chatvitals.stores.memory import MemoryStore
from tests.helpers.single_worker import DAY, EPOCH, NUMBER, PHONE, World

if TYPE_CHECKING:
    from chatvitals.stores.base import Store

FORGED = "990000000000001"


def numbers(store: Store) -> set[str]:
    """Return the numbers that have cells."""
    found = [labels[0] for name, labels, _ in store.cells() if catalogue.FAMILIES[name].per_number]
    return set(found) - {""}


def world_with_a_forged_number(store: Store) -> World:
    world = World(store, phone_number_id=NUMBER)
    world.hears(0, "m1")
    world.tell(1, Webhook(result="accepted", numbers={FORGED: "15550001111"}))  # type: ignore[arg-type]
    world.hears(1, "m2", phone_number_id=FORGED)
    world.at(9 * DAY)
    return world


def test_66_the_series_of_a_number_that_nobody_named_go_with_its_last_contact(store: Store) -> None:
    """The named number stays, however silent it is. The digits of the other one are forgotten as well."""
    world = world_with_a_forged_number(store)
    assert numbers(store) == {NUMBER, FORGED}
    assert delete_unused(store, [NUMBER], EPOCH + 9 * DAY) == 0
    assert delete_unused(store, [NUMBER], EPOCH + 12 * DAY) == 1
    assert numbers(store) == {NUMBER}
    shown = SnapshotReader(world.settings, store, None, ErrorGuard(), {}).read()
    assert FORGED not in {label for values in shown.values.values() for labels in values for label in labels}
    assert delete_unused(store, [NUMBER], EPOCH + 12 * DAY) == 0


def test_66_a_number_that_is_deleted_may_come_again(store: Store) -> None:
    """It is counted from 0, by a worker that had known it."""
    world = world_with_a_forged_number(store)
    assert delete_unused(store, [NUMBER], EPOCH + 12 * DAY) == 1
    world.hears(13 * DAY, "m3", phone_number_id=FORGED)
    assert world.count(catalogue.MESSAGES_RECEIVED, FORGED) == 1
    world.at(14 * DAY + 60)
    assert delete_unused(store, [NUMBER], EPOCH + 15 * DAY) == 0


def test_a_number_with_known_customers_stays(store: Store) -> None:
    """A known contact that writes again uses the number as much as a new contact."""
    world = World(store)
    for day in range(0, 14, 2):
        world.hears(day * DAY, f"m{day}")
    assert delete_unused(store, [], EPOCH + 14 * DAY) == 0


def test_a_number_on_which_somebody_waits_for_a_person_stays(store: Store) -> None:
    """Nothing open is taken away."""
    world = World(store)
    world.hears(0, "m1")
    world.calls(5, "handover")
    world.at(12 * DAY)
    assert delete_unused(store, [], EPOCH + 12 * DAY) == 0


def test_a_number_that_a_poll_has_found_stays(store: Store) -> None:
    """A token of the account proves that its numbers belong to the bot."""
    world = World(store)
    world.hears(0, "m1")
    rows = [{"id": NUMBER, "display_phone_number": "+1 555-000-1234", "quality_rating": "GREEN"}]
    world.tell(5, Poll(waba_id="1", numbers=rows))  # type: ignore[arg-type]
    world.at(9 * DAY)
    assert delete_unused(store, [], EPOCH + 12 * DAY) == 0


@pytest.mark.parametrize(("secret", "left"), [(None, set()), ("a made-up app secret", {NUMBER})])
def test_66_numbers_of_signed_webhooks_stay(secret: str | None, left: set[str]) -> None:
    """With an app secret nobody can forge a number, and no counter is ever reset."""
    store = MemoryStore()
    World(store, app_secret=secret).hears(0, "m1", wa_id=PHONE)
    World(store, app_secret=secret).at(9 * DAY)
    settings = Settings.load({"store": "memory:", "app_secret": secret}, environ={})
    UnusedNumbers(settings, store, lambda: EPOCH + 12 * DAY)()
    assert numbers(store) == left


def test_it_looks_four_times_a_day() -> None:
    """Reading all cells once a second would cost more than it is worth."""
    store = MemoryStore()
    World(store).hears(0, "m1")
    World(store).at(9 * DAY)
    first = EPOCH + 11 * DAY - 60.0  # on the next day, nobody has used the number for ten days
    now = [first]
    task = UnusedNumbers(Settings.load({"store": "memory:"}, environ={}), store, lambda: now[0])
    task()
    now[0] = first + 6 * 3600.0 - 1.0
    task()
    assert numbers(store) == {NUMBER}
    now[0] = first + 6 * 3600.0
    task()
    assert numbers(store) == set()
