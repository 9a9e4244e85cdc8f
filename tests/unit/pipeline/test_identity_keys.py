"""A new identity key: contacts are found under the key before it, and keep their state."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest

import chatvitals
from chatvitals.cli.store_forget import forget
from chatvitals.conversations.identity import Hasher
from chatvitals.metrics import catalogue
from chatvitals.pipeline.identity_keys import (
    DOCUMENT,
    KEPT_DAYS,
    MOVE,
    KeyMove,
    MovedKey,
    first_hasher,
    known_hasher,
    record_move,
)
from chatvitals.runtime.advice import Advice
from chatvitals.settings import Settings, SettingsError
from chatvitals.stores import open_store
from chatvitals.stores.base import StoreMistakeError, StoreUnavailableError
from chatvitals.stores.memory import MemoryStore
from chatvitals.testing import FakeClock
from tests.helpers.single_worker import DAY, EPOCH, PHONE, USER, World

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    """A key that moves out of the store loses no contact."""
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
    """The sentence names the wrong setting."""
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


# A key that moves from the store into the settings

KINDS = pytest.mark.parametrize("store_url", ["memory", "sqlite", "redis"], indirect=True)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store of each kind."""
    with closing(open_store(store_url)) as opened:
        yield opened


def settings(**given: str) -> Settings:
    """Return settings with the given keys."""
    return Settings.load({"store": "memory:", **given}, environ={})


INSIDE, OUTSIDE = settings(), settings(identity_key=NEW)


def moved(store: Store, days: float) -> bytes:
    """Move the key of a store into the settings, and let days pass with a look on each. Return the earlier key."""
    first_hasher(INSIDE, store)
    before = store.document(DOCUMENT)
    assert before is not None
    for day in range(int(days) + 1):
        record_move(OUTSIDE, store, EPOCH + day * DAY)
    record_move(OUTSIDE, store, EPOCH + days * DAY)
    return before


@KINDS
def test_74_a_store_keeps_its_key_for_90_days_after_the_move(store: Store) -> None:
    """Contacts that no worker has heard since are known by it alone."""
    before = moved(store, KEPT_DAYS - 0.01)
    assert store.document(DOCUMENT) == before
    outside = known_hasher(OUTSIDE, store)
    assert outside is not None
    assert outside.previous is not None
    assert outside.previous.person("1", PHONE) == Hasher(before).person("1", PHONE)


@KINDS
def test_74_a_store_deletes_its_key_90_days_after_the_move(store: Store) -> None:
    """From then on, a copy of the store shows nobody."""
    before = moved(store, KEPT_DAYS)
    assert before not in (value for piece in store.dump() for value in piece.documents.values())
    outside = known_hasher(OUTSIDE, store)
    assert outside is not None
    assert outside.previous is None


@KINDS
def test_74_a_worker_without_the_key_is_refused_after_the_move(store: Store) -> None:
    """A random key would make all people new."""
    moved(store, KEPT_DAYS)
    for take in (known_hasher, first_hasher):
        with pytest.raises(StoreMistakeError, match=r"set identity_key \(or CHATVITALS_IDENTITY_KEY\)"):
            take(INSIDE, store)


@KINDS
def test_74_a_worker_without_the_key_finds_its_contacts_until_then(store: Store) -> None:
    """A deployment may take a while."""
    before = moved(store, 10.0)
    inside = known_hasher(INSIDE, store)
    assert inside is not None
    assert inside.person("1", PHONE) == Hasher(before).person("1", PHONE)


def test_74_a_store_that_never_had_a_key_notes_no_move() -> None:
    """Nothing has to be deleted, and a test without a key may use it."""
    store = MemoryStore()
    record_move(OUTSIDE, store, EPOCH)
    assert store.document(MOVE) is None


def test_74_an_unreadable_note_is_written_anew() -> None:
    """The 90 days begin again, so that no contact is lost."""
    store = MemoryStore()
    before = first_hasher(INSIDE, store)
    store.set_if_absent(MOVE, b"\xc1")
    record_move(OUTSIDE, store, EPOCH + KEPT_DAYS * DAY)
    outside = known_hasher(OUTSIDE, store)
    assert outside is not None
    assert outside.previous is not None
    assert outside.previous.person("1", PHONE) == before.person("1", PHONE)


def test_74_two_workers_that_delete_at_once_harm_nothing() -> None:
    """One of them is refused by the store."""

    class Racing(MemoryStore):
        """A store in which another worker is quicker once."""

        raced = False

        def document(self, name: str) -> bytes | None:
            found = super().document(name)
            if name == MOVE and not self.raced:
                self.raced = True
                record_move(OUTSIDE, self, EPOCH)
            return found

    store = Racing()
    store.set_if_absent(DOCUMENT, b"x" * 32)
    record_move(OUTSIDE, store, EPOCH + 1.0)
    assert store.document(DOCUMENT) == b"x" * 32
    assert msgspec.msgpack.decode(store.document(MOVE) or b"", type=KeyMove) == KeyMove(EPOCH)


def test_74_a_worker_records_the_move_and_warns_without_the_key(caplog: pytest.LogCaptureFixture) -> None:
    """The warning names the day. It comes once."""
    store, clock = MemoryStore(), FakeClock(EPOCH)
    first_hasher(INSIDE, store)
    with_key, without = (MovedKey(each, store, Advice(), clock) for each in (OUTSIDE, INSIDE))
    without()
    assert not caplog.messages
    with_key()
    clock.now += DAY
    without()
    clock.now += DAY
    without()
    assert [message for message in caplog.messages if "is deleted on 2027-02-21" in message] == caplog.messages
    assert len(caplog.messages) == 1
    clock.now += KEPT_DAYS * DAY
    with_key()
    with pytest.raises(StoreMistakeError):
        known_hasher(INSIDE, store)


def test_74_a_periodic_look_survives_a_store_that_is_away() -> None:
    """It is made again in the next round, and after that only six hours later."""

    class Away(MemoryStore):
        """A store that is away at first."""

        away = True
        looks = 0

        def document(self, name: str) -> bytes | None:
            self.looks += 1
            if self.away:
                raise StoreUnavailableError(name)
            return super().document(name)

    for each in (OUTSIDE, INSIDE):
        store, clock = Away(), FakeClock(EPOCH)
        task = MovedKey(each, store, Advice(), clock)
        task()
        assert store.looks == 1
        store.away = False
        clock.advance(1.0)
        task()
        assert store.looks == 2
        clock.advance(6 * 3600.0 - 1.0)
        task()
        assert store.looks == 2
        clock.advance(1.0)
        task()
        assert store.looks == 3


@pytest.mark.parametrize("store_url", ["sqlite", "redis"], indirect=True)
def test_80_init_refuses_a_worker_that_lacks_the_moved_key(store: Store, store_url: str) -> None:
    """The sentence names the setting. With the key, the bot starts."""
    moved(store, KEPT_DAYS)
    with pytest.raises(SettingsError, match=r"^store: the identity key of this store has moved to the settings"):
        chatvitals.init(store=store_url, hooks=False)
    chatvitals.init(store=store_url, hooks=False, identity_key=NEW).close()


def test_74_nobody_is_forgotten_without_the_moved_key() -> None:
    """`chatvitals store forget` would find nobody, and say so."""
    store = MemoryStore()
    moved(store, KEPT_DAYS)
    with pytest.raises(StoreMistakeError, match="set identity_key"):
        forget(store, INSIDE, PHONE, [], EPOCH)
