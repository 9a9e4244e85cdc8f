"""`chatvitals store forget`: erase one person."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from chatvitals.analysis.errors import WrongNameError
from chatvitals.analysis.numbers import chosen, numbers_in
from chatvitals.analysis.sources import number_names
from chatvitals.cli._store_access import table, with_store
from chatvitals.context import named
from chatvitals.conversations.state import Rules
from chatvitals.events import Message
from chatvitals.exporters import scrape
from chatvitals.metrics import cardinality, catalogue
from chatvitals.metrics.cardinality import CardinalityLimiter
from chatvitals.metrics.measurements import Measurements
from chatvitals.pipeline.contact_batch import ContactBatch
from chatvitals.pipeline.identity_keys import known_hasher
from chatvitals.settings import Settings
from chatvitals.stores.base import ConflictError, StoreUnavailableError
from chatvitals.whatsapp import enums

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from chatvitals.conversations.identity import Hasher
    from chatvitals.stores.base import Store

_ATTEMPTS = 20


def add_actions(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `forget` to the actions of `chatvitals store`."""
    forget = actions.add_parser(
        "forget",
        help="erase one person",
        description="Erase all that a store holds of one person: states, message records and other ids, on all "
        "business numbers. Open turns and runs end and are counted. The identity key comes from "
        "CHATVITALS_IDENTITY_KEY, else from the store.",
    )
    forget.add_argument("url", metavar="URL", help="the store, such as sqlite:///chatvitals.db")
    forget.add_argument("--contact", metavar="ID", required=True, help="phone number or business-scoped user id")
    forget.add_argument(
        "--phone-number-id",
        metavar="ID",
        action="append",
        default=[],
        help="only on this business number: its id, phone number or name",
    )
    forget.set_defaults(run=lambda options: _forget(options.url, options.contact, options.phone_number_id))


def forget(store: Store, settings: Settings, contact: str, numbers: Iterable[str], now: float) -> int:
    """Erase a person. Return the number of removed contacts, at most one per business number.

    Args:
        store: the store. Workers may run meanwhile.
        settings: the bot's settings, for the identity key and the thresholds of turns.
        contact: phone number or business-scoped user id.
        numbers: the business numbers to search. Without any, all numbers in the store.
        now: Unix seconds.

    Raises:
        StoreUnavailableError: the store cannot be used.
        ValueError: the store holds no identity key, and the settings have none.

    """
    hasher = known_hasher(settings, store)
    if hasher is None:
        raise ValueError("the store holds no identity key: set CHATVITALS_IDENTITY_KEY to that of the bot")
    keys = [
        key
        for number in sorted(set(numbers) or _numbers(store, settings))
        for key in hasher.keys(Message(**named(number, contact)._asdict(), id="", type="", received=now))
    ]
    for _ in range(_ATTEMPTS):
        try:
            removed = _erase(store, settings, hasher, keys, now)
        except ConflictError:
            continue
        if removed:
            store.compact()  # a database keeps deleted data in its free pages
        return removed
    raise StoreUnavailableError("the store is too busy: try again")


def _erase(store: Store, settings: Settings, hasher: Hasher, keys: Iterable[int], now: float) -> int:
    rules = Rules(
        settings.settle_after,
        settings.unanswered_after,
        settings.overdue_after,
        None if settings.in_hours is None else settings.in_hours.contains,
    )
    with store.transaction() as transaction:
        batch = ContactBatch(transaction, rules, hasher, CardinalityLimiter(settings.label_cap), Measurements())
        removed = batch.erase(keys, now)
        if removed:
            transaction.commit(batch.changes(now))
    return removed


def _numbers(store: Store, settings: Settings) -> set[str]:
    """Return the business numbers that the store knows."""
    found = set(settings.phone_number_id)
    found.update(cardinality.decode(store.document(cardinality.DOCUMENT)).get(catalogue.NUMBER, ()))
    for name, labels, _ in store.cells():
        family = catalogue.FAMILIES.get(name)
        if family is not None and family.per_number:
            found.add(labels[0])
    return found


def _number_id(store: Store, settings: Settings, wanted: str) -> str:
    """Return the id of a business number. "Nothing was removed" must not be the answer to a misspelt number.

    Beyond `label_cap` numbers have no samples, so that any id may be right there.

    Raises:
        ValueError: there is no such number. The message lists all numbers.

    """
    ids = _numbers(store, settings)
    if wanted in ids:
        return wanted
    try:
        samples = [*scrape.from_cells(store.cells()), *number_names(store)]
        return chosen(numbers_in(samples), wanted, "--phone-number-id").id
    except WrongNameError as error:
        if enums.OTHER in ids:
            return wanted
        raise ValueError(str(error)) from None


def _forget(url: str, contact: str, numbers: list[str]) -> int:
    def erase(store: Store) -> None:
        settings = Settings.load({"store": url})
        removed = forget(store, settings, contact, [_number_id(store, settings, each) for each in numbers], time.time())
        table(sys.stdout, [("contacts removed", removed)])

    return with_store(url, erase)
