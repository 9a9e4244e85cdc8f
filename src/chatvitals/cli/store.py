"""`chatvitals store`: inspect, compact, export and migrate a store."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, TextIO

from chatvitals.cli import store_copies, store_forget
from chatvitals.cli._store_access import is_empty, mark_silent, table, with_store
from chatvitals.conversations import handovers, settling, state
from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import Measurements
from chatvitals.stores.base import Changes, mark_kind, mark_labels

if TYPE_CHECKING:
    import argparse

    from chatvitals.stores.base import Store

_AT_ONCE = 500


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their arguments."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    info = actions.add_parser(
        "info",
        help="show the store's type, size and number of contacts",
        description="Show the store's type, size, version and number of contacts, and when its next work is due.",
    )
    info.add_argument("url", metavar="URL", help="the store, such as sqlite:///chatvitals.db")
    info.set_defaults(run=lambda options: with_store(options.url, lambda opened: _info(opened, sys.stdout)))
    smaller = actions.add_parser(
        "compact",
        help="delete inactive contacts and free disk space",
        description="Delete contacts that have been inactive for longer than the retention period. Free disk space.",
    )
    smaller.add_argument("url", metavar="URL", help="the store, such as sqlite:///chatvitals.db")
    smaller.set_defaults(run=lambda options: with_store(options.url, lambda opened: _compact(opened, sys.stdout)))
    lines = actions.add_parser(
        "export",
        help="write cells and contacts as JSON lines",
        description="Write all metric cells and contact states as JSON lines. Contacts are keyed hashes. The key is "
        "not written.",
    )
    lines.add_argument("url", metavar="URL", help="the store, such as sqlite:///chatvitals.db")
    lines.set_defaults(run=lambda options: with_store(options.url, lambda opened: export(opened, sys.stdout)))
    move = actions.add_parser(
        "migrate",
        help="copy everything into an empty store of any kind",
        description="Copy everything, the identity key too, into an empty store. Stop the bot first: the copy misses "
        "what a running bot still counts.",
    )
    move.add_argument("source", metavar="FROM_URL", help="the store to copy, such as sqlite:///chatvitals.db")
    move.add_argument("target", metavar="TO_URL", help="an empty store, such as redis://127.0.0.1:6379/0")
    move.set_defaults(run=lambda options: _migrate(options.source, options.target))
    store_copies.add_actions(actions)
    store_forget.add_actions(actions)


def info(store: Store) -> dict[str, object]:
    """Return facts about a store's content, by name.

    Raises:
        StoreUnavailableError: the store cannot be read.

    """
    about = store.about()
    contacts = aliases = 0
    waiting: set[int] = set()
    oldest: float | None = None
    for piece in store.dump():
        contacts += len(piece.states)
        aliases += len(piece.links)
        turns = catalogue.OLDEST_OPEN_TURN.name
        waiting.update(key for kind, _, key in piece.open_since if mark_labels(kind)[0] == turns)
        dues = [due for _, due in piece.states.values()]
        oldest = min([*dues, *([] if oldest is None else [oldest])], default=None)
    return {
        "kind": about.kind,
        "format version": about.version,
        "size in bytes": about.size,
        "contacts": contacts,
        "other ids of contacts": aliases,
        "contacts with an open turn": len(waiting),
        "oldest due": "none" if oldest is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(oldest)),
    }


def compact(store: Store, now: float) -> int:
    """Delete contacts that have been inactive for longer than the retention period. Return their number.

    Running workers do the same. This function is for a store without running workers.

    Args:
        store: the store. Workers may run meanwhile.
        now: Unix seconds.

    Raises:
        StoreUnavailableError: the store cannot be used.

    """
    silent = [
        key
        for piece in store.dump()
        for key, (row, due) in piece.states.items()
        if due <= now and settling.is_forgotten(state.decode(row), now)
    ]
    removed = 0
    for start in range(0, len(silent), _AT_ONCE):
        with store.transaction() as transaction:
            measures = Measurements()
            changes = Changes(increments=measures.increments)
            for key, row in transaction.load(silent[start : start + _AT_ONCE]).items():
                contact = None if isinstance(row, int) else state.decode(row)
                if contact is not None and settling.is_forgotten(contact, now):  # no message has come since
                    for labels in contact.oldest_open_handovers():
                        kind = mark_kind(catalogue.OLDEST_OPEN_HANDOVER.name, labels)
                        changes.open_since[kind, contact.phone_number_id, key] = None
                    handovers.drop(contact, measures)
                    changes.removed.update((key, *contact.aliases))
                    removed += 1
            transaction.commit(changes)
    store.compact()
    return removed


def export(store: Store, out: TextIO) -> None:
    """Write metric cells and contact states as JSON lines.

    Raises:
        StoreUnavailableError: the store cannot be read.

    """
    for piece in store.dump():
        for (family, labels, field), value in piece.increments.items():
            _line(out, {"cell": family, "labels": labels, "field": field, "value": value})
        for key, (row, due) in piece.states.items():
            _line(out, {"contact": key, "due": due, "state": state.to_builtins(state.decode(row))})
        for key, contact in piece.links.items():
            _line(out, {"alias": key, "contact": contact})


def migrate(source: Store, target: Store) -> int:
    """Copy everything into an empty store. Return the number of contacts.

    Raises:
        StoreUnavailableError: one of the stores cannot be used. A copy that has begun is then incomplete.
        ValueError: the target is not empty.

    """
    if not is_empty(target):
        raise ValueError(
            "the target is not empty, so numbers would be added up: choose another store, or delete it first"
        )
    contacts = 0
    for piece in source.dump():
        contacts += len(piece.states)
        mark_silent(piece)
        with target.transaction() as transaction:
            transaction.commit(piece)
    return contacts


def _info(store: Store, out: TextIO) -> None:
    table(out, info(store).items())


def _compact(store: Store, out: TextIO) -> None:
    before = store.about().size
    removed = compact(store, time.time())
    table(out, [("contacts removed", removed), ("bytes before", before), ("bytes now", store.about().size)])


def _migrate(source: str, target: str) -> int:
    def into(opened: Store) -> None:
        def copy(empty: Store) -> None:
            table(sys.stdout, [("contacts copied", migrate(opened, empty))])

        opened.about()  # a source that cannot be read must leave no target behind
        status.append(with_store(target, copy, create=True))

    status: list[int] = []
    return with_store(source, into) or status[0]


def _line(out: TextIO, value: object) -> None:
    out.write(json.dumps(value) + "\n")  # ASCII, which every terminal and file can take
