"""A new identity key: contacts are found under the key before it, and keep their state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chatvitals.cli.store_forget import forget
from chatvitals.metrics import catalogue
from chatvitals.pipeline.identity_keys import first_hasher, known_hasher
from chatvitals.settings import Settings, SettingsError
from chatvitals.stores.memory import MemoryStore
from tests.helpers.single_worker import EPOCH, PHONE, USER, World

if TYPE_CHECKING:
    from chatvitals.stores.base import Store

OLD, NEW = "0123456789abcdef-old", "fedcba9876543210-new"


def old_world(store: Store | None = None) -> World:
    return World(store, identity_key=OLD)


def new_world(store: Store) -> World:
    return World(store, identity_key=NEW, identity_key_previous=OLD)


def test_74_an_open_turn_is_answered_after_a_change_of_the_key() -> None:
    """The contact keeps its turn, and nobody is counted twice."""
    old = old_world()
    old.hears(0, "m1", user_id=USER)
    new = new_world(old.store)
    new.sends(30, "b1", user_id=USER)
    new.at(60)
    assert new.ended() == {"answered": 1}
    assert new.count(catalogue.CONVERSATIONS_STARTED) == 1


def test_74_a_webhook_that_comes_again_is_a_copy_after_a_change_of_the_key() -> None:
    """Message ids are hashed with the key, too."""
    old = old_world()
    old.hears(0, "m1")
    old.sends(5, "b1")
    old.at(20)
    new = new_world(old.store)
    new.hears(30, "m1", ts=0)
    new.status(31, "b1", "failed", code="131000")
    new.at(60)
    assert new.count(catalogue.DUPLICATES, "message") == 1
    assert new.count(catalogue.LATE_FAILURES) == 1
    assert new.ended() == {"answered": 1}


def test_74_the_key_before_may_go_once_the_contact_was_seen() -> None:
    """From its first event on, a contact is known by its new key."""
    old = old_world()
    old.hears(0, "m1")
    new_world(old.store).hears(10, "m2")
    newest = World(old.store, identity_key=NEW)
    newest.sends(30, "b1")
    newest.at(60)
    assert newest.ended() == {"answered": 1}


def test_74_workers_with_the_old_and_the_new_key_run_side_by_side() -> None:
    """A deployment replaces its workers one by one."""
    old = old_world()
    new = new_world(old.store)
    new.hears(0, "m1")
    old.hears(5, "m2")
    new.sends(30, "b1")
    new.at(60)
    assert new.ended() == {"answered": 1}


def test_74_a_key_in_the_settings_replaces_the_key_of_the_store() -> None:
    """Whoever moves the key out of the store loses no contact."""
    store = MemoryStore()
    inside = World(store, identity_key=None)
    inside.hears(0, "m1")
    outside = World(store, identity_key=NEW)
    outside.sends(30, "b1")
    outside.at(60)
    assert outside.ended() == {"answered": 1}


def test_74_a_person_is_forgotten_under_both_keys() -> None:
    """`chatvitals store forget` finds contacts that no worker has seen since the change."""
    old = old_world()
    old.hears(0, "m1")
    settings = Settings.load({"store": "memory:", "identity_key": NEW, "identity_key_previous": OLD}, environ={})
    assert forget(old.store, settings, PHONE, [], EPOCH + 30) == 1
    assert forget(old.store, settings, PHONE, [], EPOCH + 30) == 0


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"identity_key_previous": OLD}, "needs the new key beside it"),
        ({"identity_key": OLD, "identity_key_previous": OLD}, "is the same as identity_key"),
        ({"identity_key": NEW, "identity_key_previous": "short"}, "identity_key_previous must be"),
        ({"identity_key": NEW, "identity_key_previous": ""}, "identity_key_previous"),
    ],
)
def test_74_keys_that_cannot_be_are_refused(given: dict[str, str], told: str) -> None:
    """The sentence says what to give."""
    with pytest.raises(SettingsError, match=told):
        Settings.load({"store": "memory:", **given}, environ={})


def test_a_store_without_a_key_gets_one() -> None:
    """Looking alone creates none."""
    store, settings = MemoryStore(), Settings.load({"store": "memory:"}, environ={})
    assert known_hasher(settings, store) is None
    first = first_hasher(settings, store)
    known = known_hasher(settings, store)
    assert known is not None
    assert known.person("1", PHONE) == first.person("1", PHONE)
    assert known.previous is None
