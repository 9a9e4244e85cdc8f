"""`chatvitals store`: looking into a store, compacting, exporting and migrating it."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest

from chatvitals.cli import main
from chatvitals.cli import store as store_cli
from chatvitals.events import Call, Message
from chatvitals.settings import Settings
from chatvitals.stores.base import Changes
from chatvitals.stores.memory import MemoryStore
from chatvitals.stores.sqlite import SQLiteStore
from chatvitals.vitals import Vitals

if TYPE_CHECKING:
    from pathlib import Path

    from chatvitals.stores.base import Store
    from chatvitals.testing import FakeClock

DAY = 86_400.0
PHONE, USER = "15550001111", "US.90000000000000000001"


def vitals_on(store: Store, clock: FakeClock) -> Vitals:
    return Vitals(Settings.load({"hooks": False, "settle_after": 0.0}, {}), store=store, clock=clock, background=False)


def fill(store: Store, clock: FakeClock, people: int = 3) -> None:
    """Let people write, the first of them with two ids. One is handed over."""
    vitals = vitals_on(store, clock)
    for index in range(people):
        user = USER if index == 0 else ""
        vitals._emit(
            Message(
                phone_number_id="990001",
                wa_id=f"{int(PHONE) + index}",
                user_id=user,
                id=f"wamid.{index}",
                type="text",
                received=clock.now,
            )
        )
    vitals._emit(Call(phone_number_id="990001", wa_id=PHONE, received=clock.now, name="handover"))
    vitals.settle()


def everything(store: Store) -> dict[str, object]:
    found = Changes()
    for piece in store.dump():
        found.states |= piece.states
        found.links |= piece.links
        found.open_since |= piece.open_since
        found.increments |= piece.increments
        found.documents |= piece.documents
    return {name: dict(getattr(found, name)) for name in ("states", "links", "open_since", "increments", "documents")}


@pytest.mark.parametrize("target", ["memory", "sqlite"])
def test_a_copy_has_all_of_it_and_goes_on_where_the_first_was(tmp_path: Path, clock: FakeClock, target: str) -> None:
    """States, links, marks, cells, documents and the identity key move, so that contacts are known again."""
    source = SQLiteStore(tmp_path / "a.db")
    fill(source, clock, people=2500)
    source.lease("expose", "pod-1", 10.0, clock.now)
    copy: Store = MemoryStore() if target == "memory" else SQLiteStore(tmp_path / "b.db")
    assert store_cli.migrate(source, copy) == 2500
    assert everything(copy) == everything(source)
    assert copy.oldest_open() == source.oldest_open()
    assert copy.lease("expose", "pod-2", 10.0, clock.now)  # a lease is nothing to take along
    vitals = vitals_on(copy, clock)
    vitals._emit(Message(phone_number_id="990001", wa_id=PHONE, id="wamid.again", type="text", received=clock.now))
    vitals.settle()
    assert copy.cells()["chatvitals_conversations_started_total", ("990001", "new"), 0] == 2500
    source.close()
    copy.close()


def test_a_store_that_holds_something_is_no_target(tmp_path: Path, clock: FakeClock) -> None:
    """Numbers would be added up."""
    source, target = SQLiteStore(tmp_path / "a.db"), MemoryStore()
    fill(source, clock)
    target.set_if_absent("identity_key", b"x" * 32)
    with pytest.raises(ValueError, match="not empty"):
        store_cli.migrate(source, target)
    source.close()


def test_info_says_whom_it_knows(tmp_path: Path, clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
    """Kind, size, version, contacts, other ids, open turns, what is due next."""
    store = SQLiteStore(tmp_path / "a.db")
    fill(store, clock)
    found = store_cli.info(store)
    assert {name: found[name] for name in ("kind", "format version", "contacts", "other ids of contacts")} == {
        "kind": "sqlite",
        "format version": 3,
        "contacts": 3,
        "other ids of contacts": 1,
    }
    assert found["contacts with an open turn"] == 3
    assert str(found["oldest due"]).startswith("2023-11-14T22:13:")
    assert main.main(["store", "info", f"sqlite:///{tmp_path / 'a.db'}"]) == 0
    assert "contacts:                   3\n" in capsys.readouterr().out
    store.close()


def test_export_writes_hashes_and_numbers_only(
    tmp_path: Path, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither an id of a person nor the key of the hashes is in it."""
    store = SQLiteStore(tmp_path / "a.db")
    fill(store, clock)
    key = store.document("identity_key")
    store.close()
    assert main.main(["store", "export", f"sqlite:///{tmp_path / 'a.db'}"]) == 0
    text = capsys.readouterr().out
    lines = [json.loads(line) for line in text.splitlines()]
    kinds = [next(iter(line)) for line in lines]
    assert kinds.count("contact") == 3
    assert kinds.count("alias") == 1
    assert {"cell": "chatvitals_turns_open", "labels": ["990001", "first", ""], "field": 0, "value": 3.0} in lines
    assert next(line for line in lines if "contact" in line)["state"]["phone_number_id"] == "990001"
    assert key is not None
    for secret in (PHONE, USER, "wamid.0", key.hex()):
        assert secret not in text


def test_contacts_and_aliases_are_gone_after_eight_days_of_silence(tmp_path: Path, clock: FakeClock) -> None:
    """A worker's sweep forgets them by itself. Numbers stay."""
    for store in (SQLiteStore(tmp_path / "a.db"), MemoryStore()):
        fill(store, clock)
        before = store.cells()["chatvitals_conversations_started_total", ("990001", "new"), 0]
        vitals = vitals_on(store, clock)
        vitals.record_reply(contact=PHONE, phone_number_id="990001", actor="human")  # else a person is still awaited
        clock.advance(DAY + 1)
        vitals.settle()  # turns end unanswered
        clock.advance(6 * DAY)
        vitals.settle()
        assert store_cli.info(store)["contacts"] == 3
        clock.advance(DAY + 3600 + 5)
        vitals.settle()
        found = everything(store)
        assert found["states"] == found["links"] == found["open_since"] == {}
        cells = store.cells()
        assert cells["chatvitals_conversations_started_total", ("990001", "new"), 0] == before
        assert cells["chatvitals_handovers_open", ("990001", ""), 0] == 0
        store.close()


def test_a_store_stays_as_large_as_its_live_contacts_need(tmp_path: Path, clock: FakeClock) -> None:
    """Ten times as many people in turn take no more room than the first ones."""
    store = SQLiteStore(tmp_path / "a.db")
    vitals = vitals_on(store, clock)
    sizes = []
    for generation in range(10):
        for index in range(500):
            phone = f"1555{generation:03d}{index:04d}"
            vitals._emit(
                Message(phone_number_id="1", wa_id=phone, id=f"wamid.{phone}", type="text", received=clock.now)
            )
        vitals.settle()
        clock.advance(DAY + 1)
        vitals.settle()
        clock.advance(8 * DAY)
        vitals.settle()
        with store.transaction() as transaction:
            sizes.append(transaction._connection.execute("PRAGMA page_count").fetchone()[0])
    assert store_cli.info(store)["contacts"] == 0
    assert sizes[-1] <= 1.3 * sizes[1]
    store.close()


def test_compact_removes_who_is_silent_for_long_and_gives_room_back(tmp_path: Path, clock: FakeClock) -> None:
    """The store is open in no worker. A contact with an open turn stays."""
    store = SQLiteStore(tmp_path / "a.db")
    fill(store, clock, people=2000)
    vitals = vitals_on(store, clock)
    vitals.record_reply(contact=PHONE, phone_number_id="990001", actor="human")  # else a person is still awaited
    clock.advance(DAY + 1)
    vitals.settle()
    vitals._emit(
        Message(phone_number_id="990001", wa_id="4915550000", id="wamid.late", type="text", received=clock.now)
    )
    vitals.settle()
    clock.advance(8 * DAY)
    before = store.about().size
    assert store_cli.compact(store, clock.now) == 2000
    assert store.about().size < before / 2
    assert store_cli.info(store)["contacts"] == 1
    assert store.cells()["chatvitals_handovers_open", ("990001", ""), 0] == 0
    assert store_cli.compact(store, clock.now) == 0
    store.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["info", "sqlite:///{folder}/none.db"], "there is no store file"),
        (["migrate", "sqlite:///{folder}/none.db", "sqlite:///{folder}/new.db"], "there is no store file"),
        (["info", "memory:"], "a store in memory belongs to its process"),
        (["info", "mysql://x"], "store must be"),
        (["migrate", "sqlite:///{folder}/a.db", "sqlite:///{folder}/a.db"], "not empty"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    arguments: list[str], said: str, tmp_path: Path, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, and no file is begun by looking at it."""
    store = SQLiteStore(tmp_path / "a.db")
    fill(store, clock)
    store.close()
    assert main.main(["store", *(argument.format(folder=tmp_path) for argument in arguments)]) == 2
    assert said in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.db"]


def test_the_commands_compact_and_migrate(tmp_path: Path, clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
    """Both print their result."""
    store = SQLiteStore(tmp_path / "a.db")
    fill(store, clock)
    store.close()
    a, b = f"sqlite:///{tmp_path / 'a.db'}", f"sqlite:///{tmp_path / 'b.db'}"
    assert main.main(["store", "migrate", a, b]) == 0
    assert "contacts copied:            3\n" in capsys.readouterr().out
    clock.now = 0.0
    assert main.main(["store", "compact", b]) == 0
    assert "contacts removed:           0\n" in capsys.readouterr().out  # their turns are open: no worker has run since


def test_an_export_can_go_anywhere(clock: FakeClock) -> None:
    """It writes to any text stream."""
    out, store = io.StringIO(), MemoryStore()
    store_cli.export(store, out)
    assert out.getvalue() == ""
